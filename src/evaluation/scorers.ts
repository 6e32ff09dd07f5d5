import type { Episode } from "../data/types.js";
import type {
  Answers,
  EditRequests,
  Generation,
  Measured,
  Measurement,
  PairRows,
  RowViews,
  TokenRows,
  TokenScores,
} from "../native/addon.js";
import type { GenerationForm } from "../tokenizers/answer_form.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { EditWords } from "../tokenizers/edit_text_form.js";
import { editWords } from "../training/episode_source.js";
import type { Figures } from "../training/events.js";

interface Call {
  readonly signal?: AbortSignal;
  readonly measure?: boolean;
}

interface AskingCall extends Call {
  /** The edit each row is about, −1 for none, [B]: for methods that must be told. */
  readonly goldEdits?: Int32Array;
  /** The rows' inputs as the models of a router read them. */
  readonly views?: RowViews;
  /** Bytes of the base's encoder outputs that may be kept between such calls, and used by them. */
  readonly encodingBytes?: number;
}

/** Anything that answers, as the evaluation needs it. */
export interface Scorer {
  score(batch: PairRows, options?: AskingCall): Promise<TokenScores>;
  generate(source: TokenRows, options?: AskingCall & Partial<GenerationForm>): Promise<Generation>;
  /** Both, from one encoding. */
  answer(batch: PairRows, options?: AskingCall & Partial<GenerationForm>): Promise<Answers>;
}

export interface EditedScorer extends Scorer {
  dispose(): Promise<void>;
}

/** The unedited model: also the reference of the KL divergence. */
export interface BaseScorer<Edited extends Scorer = Scorer> extends Scorer {
  compare(
    other: Edited,
    batch: PairRows,
    options?: AskingCall,
  ): Promise<Measured & { readonly kl: Float32Array }>;
}

/** `figures`: what fitting weights to the edits took; none where nothing is fitted. */
export interface AppliedEdits<Edited> {
  readonly model: Edited;
  readonly figures: Figures;
  readonly measurement?: Measurement;
}

/** A method on a model: applies edits, those of one call at once. */
export interface Subject<Edited extends EditedScorer = EditedScorer> {
  readonly base: BaseScorer<Edited>;
  /** Whether the edited model must be told which edit each question is about. */
  readonly needsGoldEdits: boolean;
  /** Whether a question with a scope logit of at most 0 gets the base's own computation, to the bit. */
  readonly leavesGatedOffAlone: boolean;
  /** On top of the base, or of a model that this subject edited before; that one stays as it is. */
  apply(requests: EditRequests, options?: Call & { readonly onto?: Edited }): Promise<AppliedEdits<Edited>>;
}

export const editRequests = ({ edits }: Episode, codec: EditCodec): EditRequests =>
  requestsOfWords(edits.map(editWords), codec);

export function requestsOfWords(edits: readonly EditWords[], codec: EditCodec): EditRequests {
  return {
    edits: {
      source: codec.sources(edits.map(({ x_e }) => x_e)),
      target: codec.targets(edits.map(({ y_e }) => y_e)),
    },
    editText: codec.editTexts(edits),
    ...codec.editPrefixes(edits),
    labels: edits.map(({ x_e, y_e }) => `${x_e} >> ${y_e}`),
  };
}
