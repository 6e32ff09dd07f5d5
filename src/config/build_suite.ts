import {
  coreSpec,
  type EditorSpec,
  isTrained,
  optionNames,
  trainingDefaults,
  trainingSpec,
} from "../editors/registry.js";
import { evaluationSchema } from "./evaluation.js";
import { canonicalJson } from "./hash.js";
import { isMapping, type Layer, layered } from "./layers.js";
import { type Override, withOverrides } from "./overrides.js";
import type { ConfigSource, Path } from "./source.js";
import { didYouMean } from "./suggest.js";
import {
  baseDtypeSchema,
  kSchema,
  type MethodConfig,
  methodSchema,
  modelSchema,
  type SuiteConfig,
  type SuiteDataset,
  type SuiteMethod,
  seedsSchema,
  suiteFileSchema,
  type Tune,
  textSchema,
  tuneSchema,
} from "./suite.js";
import { sweepPoint } from "./sweep.js";
import { type ConfigProblem, checkConfig, configError } from "./validate.js";

/**
 * A suite from its source: methods inherit, sweeps become methods, every data set's parts are merged over what they
 * change, and overrides win over all of it.
 * @throws SeprogError CONFIG_INVALID with every error of the file and of what is merged from it, each with its place
 */
export function buildSuite(written: ConfigSource, settings: readonly Override[] = []): SuiteConfig {
  const named = withNamedDatasets(written);
  const overrides = settings.map((override) => byIndex(override, named));
  const source = withNamedDatasets(withOverrides(named, overrides));
  const problems: ConfigProblem[] = [];
  const file = checkConfig(suiteFileSchema, source, problems);
  const methods = plannedMethods(source, problems);
  const entries = asList(at(source.value, ["datasets"]));
  const places: (Path | null)[] = entries.length > 0 ? entries.map((_, i) => ["datasets", i]) : [null];
  const built = places.map((place) => buildDataset(source, place, methods, overrides, problems));
  if (file === undefined || problems.length > 0) throw configError(problems);
  const { schemaVersion, name, description, notes, sources } = file;
  return {
    schemaVersion,
    name,
    description,
    notes,
    sources,
    datasets: file.datasets.flatMap(({ name: dataset }, i) => {
      const rest = built[i];
      return rest === undefined ? [] : [{ name: dataset, ...rest }];
    }),
  };
}

type BuiltDataset = Omit<SuiteDataset, "name">;

/** A data set without parts of its own may be written as its name alone. */
function withNamedDatasets(source: ConfigSource): ConfigSource {
  if (!isMapping(source.value)) return source;
  const { datasets } = source.value;
  if (!Array.isArray(datasets)) return source;
  const named = datasets.map((entry: unknown) => (typeof entry === "string" ? { name: entry } : entry));
  return { ...source, value: { ...source.value, datasets: named } };
}

/** An override may call a data set by its name: `datasets.zsre.training.steps`. */
function byIndex(override: Override, source: ConfigSource): Override {
  const [first, second, ...rest] = override.path;
  if (first !== "datasets" || second === undefined) return override;
  const index = asList(at(source.value, ["datasets"])).findIndex((entry) => at(entry, ["name"]) === second);
  return index === -1 ? override : { ...override, path: ["datasets", index, ...rest] };
}

/** A method before a data set's parts are merged over it. */
interface PlannedMethod {
  readonly name: string;
  /** It and the methods it starts from, the first one first. */
  readonly chain: readonly string[];
  readonly sweep: SuiteMethod["sweep"];
  /** What is tuned, and the method that says so: itself, or the nearest it starts from. */
  readonly tune: PlannedTune | null;
  /** The swept value; it wins over everything. */
  readonly swept: readonly Layer[];
}

interface PlannedTune {
  /** Where it stands in the file. */
  readonly from: Path;
  readonly option: string;
  readonly values: readonly unknown[];
  readonly edits: number;
}

function plannedTune(
  chain: readonly string[],
  methods: { readonly [key: string]: unknown },
): PlannedTune | null {
  const owner = chain.findLast((name) => at(methods[name], ["tune"]) !== undefined);
  if (owner === undefined) return null;
  // A wrong one is told of with the rest of the file.
  const tune = tuneSchema.safeParse(at(methods[owner], ["tune"]));
  if (!tune.success) return null;
  const { path, values, edits } = tune.data;
  return { from: ["methods", owner, "tune"], option: path, values, edits };
}

function plannedMethods(source: ConfigSource, problems: ConfigProblem[]): PlannedMethod[] {
  const methods = at(source.value, ["methods"]);
  if (!isMapping(methods)) return [];
  const planned = Object.entries(methods).flatMap(([name, entry]): PlannedMethod[] => {
    const chain = inheritance(source, methods, name, problems);
    const tune = plannedTune(chain, methods);
    const plain: PlannedMethod = { name, chain, sweep: null, tune, swept: [] };
    const sweep = at(entry, ["sweep"]);
    const [option, values] = isMapping(sweep) ? (Object.entries(sweep)[0] ?? []) : [];
    if (option === undefined || !Array.isArray(values)) return [plain];
    return values.map((value: unknown, i) => {
      const { name: own, point } = sweepPoint(name, option, value);
      const from = ["methods", name, "sweep", option, i];
      return { name: own, chain, sweep: point, tune, swept: [{ from, at: option.split("."), value }] };
    });
  });
  const names = new Set<string>();
  for (const { name, chain } of planned) {
    if (names.has(name)) {
      const path = ["methods", chain.at(-1) ?? name];
      problems.push({
        place: source.locate(path),
        text: `expected methods of different names but received "${name}" twice (\`${path.join(".")}\`)`,
      });
    }
    names.add(name);
  }
  return planned;
}

function inheritance(
  source: ConfigSource,
  methods: { readonly [name: string]: unknown },
  name: string,
  problems: ConfigProblem[],
): string[] {
  const chain = [name];
  for (;;) {
    const current = chain[0] ?? name;
    const like = at(methods[current], ["like"]);
    if (typeof like !== "string") return chain;
    const path = ["methods", current, "like"];
    const known = Object.keys(methods);
    if (!known.includes(like) || chain.includes(like)) {
      const reason = chain.includes(like) ? "which starts from this one" : "which is not there";
      problems.push({
        place: source.locate(path),
        text: `expected another method for \`${path.join(".")}\` but received "${like}", ${reason}${didYouMean(like, known)}`,
      });
      return chain;
    }
    chain.unshift(like);
  }
}

function buildDataset(
  source: ConfigSource,
  place: Path | null,
  methods: readonly PlannedMethod[],
  overrides: readonly Override[],
  problems: ConfigProblem[],
): BuiltDataset | undefined {
  const layer = (from: Path, picked?: readonly string[]): Layer[] => {
    const value = at(source.value, from);
    return [{ from, at: [], value: picked && isMapping(value) ? pick(value, picked) : value }];
  };
  const ofDataset = (step: string): Layer[] => (place === null ? [] : layer([...place, step]));
  const settled = (step: string): ConfigSource =>
    layered(
      source,
      [...layer([step]), ...ofDataset(step), ...overriddenLayers(source, [step], overrides)],
      [step],
    );

  const orEmpty = (part: ConfigSource): ConfigSource => ({ ...part, value: part.value ?? {} });
  const model = checkConfig(modelSchema, settled("model"), problems);
  const baseDtype = checkConfig(baseDtypeSchema, settled("baseDtype"), problems);
  const k = checkConfig(kSchema, settled("k"), problems);
  const seeds = checkConfig(seedsSchema.default([0]), settled("seeds"), problems);
  const text = checkConfig(textSchema, orEmpty(settled("text")), problems);
  const evaluation = checkConfig(evaluationSchema, orEmpty(settled("evaluation")), problems);
  const parts = ["editor", "training"];
  const kindOf = ({ chain }: PlannedMethod): unknown =>
    chain.map((method) => at(source.value, ["methods", method, "editor", "kind"])).findLast((kind) => kind);
  const known = new Set(methods.flatMap((method) => optionNames(kindOf(method)) ?? []));
  /** A data set's options of editors go to the methods that have them; what none has is told of as unknown. */
  const editorOfDataset = (method: PlannedMethod): Layer[] => {
    if (place === null) return [];
    const from = [...place, "editor"];
    const value = at(source.value, from);
    const own = optionNames(kindOf(method));
    if (!isMapping(value) || own === undefined) return [{ from, at: ["editor"], value }];
    const meant = Object.keys(value).filter((option) => own.includes(option) || !known.has(option));
    return [{ from, at: ["editor"], value: pick(value, meant) }];
  };
  const configs = methods.map((method) => {
    const { name, chain, sweep, tune, swept } = method;
    const own = chain.at(-1) ?? name;
    const layers = [
      ...chain.flatMap((one) => layer(["methods", one], parts)),
      ...editorOfDataset(method),
      ...(place === null ? [] : layer(place, ["training"])),
      ...chain.flatMap((one) => overriddenLayers(source, ["methods", one], overrides, parts)),
      ...swept,
    ];
    const home = ["methods", own];
    const defaults: Layer = { from: home, at: ["training"], value: trainingDefaults(kindOf(method)) };
    const methodWith = (...more: Layer[]) =>
      checkConfig(methodSchema, orEmpty(layered(source, [defaults, ...layers, ...more], home)), problems);
    const config = methodWith();
    return {
      name,
      sweep,
      config,
      tune: config && tune && buildTune(source, config, tune, methodWith, problems),
    };
  });
  if (!model || !baseDtype || !k || !seeds || !text || !evaluation) return undefined;
  const complete = configs.flatMap(({ name, sweep, config, tune }) =>
    config === undefined ? [] : [[name, { config, sweep, tune: tune ?? null }] as const],
  );
  return { model, baseDtype, k, seeds, text, evaluation, methods: Object.fromEntries(complete) };
}

/** The method with each value; an option that decides what an editor learns cannot be tuned: one editor serves all. */
function buildTune(
  source: ConfigSource,
  plain: MethodConfig,
  { from, option, values, edits }: PlannedTune,
  methodWith: (layer: Layer) => MethodConfig | undefined,
  problems: ConfigProblem[],
): Tune | null {
  const candidates = values.flatMap((value, i) => {
    const layer: Layer = { from: [...from, "values", i], at: ["editor", ...option.split(".")], value };
    const editor = methodWith(layer)?.editor;
    return editor === undefined ? [] : [{ value: Number(value), editor }];
  });
  const learns = (editor: EditorSpec): string => canonicalJson(coreSpec(trainingSpec(editor)));
  if (isTrained(plain.editor) && candidates.some(({ editor }) => learns(editor) !== learns(plain.editor))) {
    const path = [...from, "path"];
    problems.push({
      place: source.locate(path),
      text: `expected an option that only edits depend on for \`${path.join(".")}\` but received "${option}", which decides what the editor learns; sweep it`,
    });
  }
  return { option: `editor.${option}`, candidates, edits };
}

/** What overrides say about the options at `home`: they win over a data set's parts too. */
function overriddenLayers(
  source: ConfigSource,
  home: Path,
  overrides: readonly Override[],
  picked?: readonly string[],
): Layer[] {
  return overrides.flatMap(({ path }): Layer[] => {
    if (!path.every((step, index) => index >= home.length || step === home[index])) return [];
    if (path.length <= home.length) {
      const value = at(source.value, home);
      return [{ from: home, at: [], value: picked && isMapping(value) ? pick(value, picked) : value }];
    }
    if (picked && !picked.includes(String(path[home.length]))) return [];
    // One item of a list is overridden with the whole list around it.
    const index = path.findIndex((_, i) => Array.isArray(at(source.value, path.slice(0, i))));
    const from = index === -1 ? path : path.slice(0, index);
    return [{ from, at: from.slice(home.length), value: at(source.value, from) }];
  });
}

function pick(value: { readonly [key: string]: unknown }, keys: readonly string[]): unknown {
  return Object.fromEntries(keys.flatMap((key) => (key in value ? [[key, value[key]]] : [])));
}

function at(value: unknown, path: Path): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, step);
  }
  return current;
}

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
