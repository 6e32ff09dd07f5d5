import type {
  Argv,
  CommandModule,
  InferredOptionType,
  InferredOptionTypes,
  Options,
  PositionalOptions,
} from "yargs";

type Named<Option> = { readonly [name: string]: Option };

/** One command of the program: what it is called, what it takes, what it does. */
export interface CommandSpec<Positionals extends Named<PositionalOptions>, Flags extends Named<Options>> {
  /** yargs form: `pretrain <recipe>`. */
  readonly command: string;
  readonly describe: string;
  /** Command line without the program's name → what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly positionals?: Positionals;
  readonly options?: Flags;
  /** Below it: `data import`. */
  readonly commands?: readonly Command[];
  /** Returns the exit status; nothing means 0. Errors are printed by the caller. */
  run(
    args: InferredOptionTypes<Flags> & { [Name in keyof Positionals]: InferredOptionType<Positionals[Name]> },
  ): Promise<number | undefined>;
}

/** A command as the program holds it, whatever its arguments are. */
export interface Command {
  readonly module: CommandModule<object, object>;
  readonly name: string;
  readonly optionNames: readonly string[];
}

/** Where a command leaves its exit status: yargs has no way to return it. */
export interface Outcome {
  status: number;
}

export const outcome: Outcome = { status: 0 };

export function defineCommand<
  const Positionals extends Named<PositionalOptions> = Record<never, PositionalOptions>,
  const Flags extends Named<Options> = Record<never, Options>,
>(spec: CommandSpec<Positionals, Flags>): Command {
  const positionals = Object.entries<PositionalOptions>(spec.positionals ?? {});
  const flags = Object.entries<Options>(spec.options ?? {});
  const module: CommandModule<object, object> = {
    command: spec.command,
    describe: spec.describe,
    builder: (yargs: Argv<object>) => {
      let built = yargs;
      for (const [name, option] of positionals) built = built.positional(name, option);
      built = built.options(Object.fromEntries(flags));
      for (const { module } of spec.commands ?? []) built = built.command(module);
      for (const [line, text] of spec.examples) built = built.example(`$0 ${line}`, text);
      return built;
    },
    handler: async (args) => {
      // yargs has checked the arguments against the very options their type is inferred from.
      outcome.status = (await spec.run(args as Parameters<typeof spec.run>[0])) ?? 0;
    },
  };
  return {
    module,
    name: spec.command.split(" ")[0] ?? spec.command,
    optionNames: [
      ...flags.flatMap(([name, option]) => [name, ...[option.alias ?? []].flat()]),
      ...(spec.commands ?? []).flatMap((command) => command.optionNames),
    ],
  };
}

/** A command that only holds others: `edit add`, `edit list`. */
export function defineGroup(name: string, describe: string, commands: readonly Command[]): Command {
  return {
    module: {
      command: `${name} <command>`,
      describe,
      builder: (yargs: Argv<object>) => {
        let built = yargs;
        for (const { module } of commands) built = built.command(module);
        return built.demandCommand(1, `Say which: ${commands.map((command) => command.name).join(", ")}.`);
      },
      handler: () => undefined,
    },
    name,
    optionNames: commands.flatMap((command) => command.optionNames),
  };
}
