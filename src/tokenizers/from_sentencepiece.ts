import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SeprogError } from "../errors.js";
import type { TokenizerDefinition } from "./definition.js";
import { PIECE_TYPE, parseSentencePiece, type SentencePieceModel, UNIGRAM } from "./sentencepiece_model.js";
import { addedTokens, readSettings, type TokenizerSettings } from "./special_tokens.js";

/** Sentinels of T5 that a folder does not count. */
const EXTRA_IDS = 100;
const METASPACE = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always", split: true };

/**
 * T5's tokenizer from `spiece.model`: Unigram pieces, the stop token after every text, and sentinels `<extra_id_n>`
 * from the highest n down behind the pieces, as Hugging Face numbers them.
 * @throws SeprogError CHECKPOINT_INVALID if the file is damaged or lacks a token that T5 needs, UNSUPPORTED if it
 * holds another kind of SentencePiece model
 */
export async function fromSentencePiece(folder: string): Promise<TokenizerDefinition> {
  const path = join(folder, "spiece.model");
  const model = await readModel(path);
  const settings = await readSettings(folder);
  const idOf = new Map(model.pieces.map(({ text }, id) => [text, id]));
  if (idOf.size < model.pieces.length)
    throw new SeprogError("CHECKPOINT_INVALID", `expected every piece of ${path} once`);

  const stop = settings.named.eos_token?.content ?? "</s>";
  const stopId = idOf.get(stop);
  const unknownId = model.pieces.findIndex(({ type }) => type === PIECE_TYPE.unknown);
  if (stopId === undefined || unknownId === -1)
    throw new SeprogError(
      "CHECKPOINT_INVALID",
      `expected a stop token ${stop} and a piece for unknown characters in ${path} but received ` +
        `${model.pieces.length} pieces without; the file belongs to another family or is damaged`,
    );
  const pieces = model.pieces.map(({ text, score }): [string, number] => [text, score]);
  for (let n = (settings.config.extra_ids ?? EXTRA_IDS) - 1; n >= 0; n--)
    if (!idOf.has(`<extra_id_${n}>`)) {
      idOf.set(`<extra_id_${n}>`, pieces.length);
      pieces.push([`<extra_id_${n}>`, 0]);
    }

  return {
    version: "1.0",
    added_tokens: tokensToFind(model, settings, idOf),
    normalizer:
      model.charsmap.length === 0
        ? null
        : { type: "Precompiled", precompiled_charsmap: Buffer.from(model.charsmap).toString("base64") },
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, METASPACE] },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: stop, type_id: 0 } }],
      pair: [
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: stop, type_id: 0 } },
        { Sequence: { id: "B", type_id: 0 } },
        { SpecialToken: { id: stop, type_id: 0 } },
      ],
      special_tokens: { [stop]: { id: stop, ids: [stopId], tokens: [stop] } },
    },
    decoder: METASPACE,
    model: { type: "Unigram", unk_id: unknownId, vocab: pieces, byte_fallback: false },
  };
}

async function readModel(path: string): Promise<SentencePieceModel> {
  const bytes = await readFile(path);
  let model: SentencePieceModel;
  try {
    model = parseSentencePiece(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "CHECKPOINT_INVALID",
      `expected a SentencePiece model in ${path} but received: ${reason}; fetch the file again`,
      { cause },
    );
  }
  if (model.modelType !== UNIGRAM || model.byteFallback)
    throw new SeprogError(
      "UNSUPPORTED",
      `expected a Unigram model without byte fallback in ${path} but received model type ${model.modelType}` +
        `${model.byteFallback ? " with byte fallback" : ""}; save the tokenizer in its fast form (tokenizer.json)`,
    );
  return model;
}

/** Control pieces, what the user defined, and the sentinels. */
function tokensToFind(
  { pieces }: SentencePieceModel,
  settings: TokenizerSettings,
  idOf: ReadonlyMap<string, number>,
) {
  const control = pieces.filter(({ type }) => type === PIECE_TYPE.control || type === PIECE_TYPE.unknown);
  const userDefined = pieces.filter(({ type }) => type === PIECE_TYPE.userDefined);
  const sentinels = [...idOf.keys()].filter((text) => /^<extra_id_\d+>$/.test(text));
  return addedTokens(settings, {
    idOf,
    special: [...control.map(({ text }) => text), ...sentinels],
    plain: userDefined.map(({ text }) => text),
  });
}
