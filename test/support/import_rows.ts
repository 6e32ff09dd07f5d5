/** Rows about made-up towns in the forms that EasyEdit, MEND and SLAG read; see zsre_rows.ts for others of them. */

export const easyEditCounterfactRow = (i: number) => ({
  case_id: i,
  prompt: `The river of Town ${i} is`,
  target_new: `Newbrook ${i}`,
  subject: `Town ${i}`,
  ground_truth: `Oldbrook ${i}`,
  rephrase_prompt: `It rained. Town ${i} lies on the`,
  locality_prompt: `The river of Village ${i} is`,
  locality_ground_truth: `Oldbrook ${i}`,
});

/** As EasyEdit asks about one relation further. */
export const oneHop = (i: number) => ({
  "Recalled Relation": `(Newbrook ${i}, flows into, Lake ${i})`,
  "New Question": `Into which lake does the river of Town ${i} flow?`,
  "New Answer": `Lake ${i}`,
});

export const originalCounterfactRow = (i: number) => ({
  case_id: i,
  pararel_idx: 100 + i,
  requested_rewrite: {
    prompt: "The river of {} is",
    relation_id: "P9000",
    target_new: { str: `Newbrook ${i}`, id: "Q1" },
    target_true: { str: `Oldbrook ${i}`, id: "Q2" },
    subject: `Town ${i}`,
  },
  paraphrase_prompts: [`It rained. Town ${i} lies on the`, `Snow fell. The stream of Town ${i} is`],
  neighborhood_prompts: [`The river of Village ${i} is`, `The river of Hamlet ${i} is`],
  attribute_prompts: [`Newbrook ${i} flows by`],
  generation_prompts: [`Town ${i} is loved for`],
});

export const wikiRecentRow = (i: number) => ({
  subject: `Town ${i}`,
  prompt: `The name of the mayor of Town ${i} is`,
  target_new: `Mayor ${i}`,
  portability: {
    Logical_Generalization: [{ prompt: `Mayor ${i} governs`, ground_truth: [[`Town ${i}`]] }],
    Reasoning: [{ prompt: `The mayor's birthplace of Town ${i} is`, ground_truth: [["Somewhere"]] }],
    Subject_Aliasing: [{ prompt: `The name of the mayor of T. No. ${i} is`, ground_truth: [[`Mayor ${i}`]] }],
  },
  locality: {
    Relation_Specificity: [
      { prompt: `The name of the country of Town ${i} is`, ground_truth: [[`Country ${i}`, `C${i}`]] },
      { prompt: `The name of the twin of Town ${i} is`, ground_truth: [] },
    ],
    Forgetfulness: [{ prompt: `Another mayor of Town ${i} is`, ground_truth: [["Nobody"]] }],
  },
});

export const wikiBioRow = (i: number) => ({
  text: `This is a passage about town ${i}. It was founded long ago.`,
  labels: `It has ${i + 2} gates.`,
  concept: `town ${i}`,
  locality: {
    Relation_Specificity: [{ prompt: `The country of town ${i} is`, ground_truth: [`Country ${i}`] }],
  },
});

export const wikiBigEditRow = (i: number) => ({
  tag: "new",
  subject: `Town ${i}`,
  update: `Who is the mayor of Town ${i}?`,
  ans: `Mayor ${i}`,
  rephrase: `Which person governs Town ${i} as mayor?`,
  personas: `Arr, who be the mayor of Town ${i}?`,
  mhop: i % 2 === 0 ? `Where was the mayor of Town ${i} born?` : null,
  mhop_ans: i % 2 === 0 ? "Somewhere" : null,
  loc: `Who is the mayor of Village ${i}?`,
  loc_ans: `Other ${i}`,
});

/** SLAG's zsRE is KILT's own: a question's wordings stand in `meta`. */
export const slagZsreRow = (i: number) => ({
  id: `town-${i}`,
  input: `Town ${i} [SEP] founded by`,
  output: [{ answer: `Founder ${i}`, provenance: [{ title: `Town ${i}` }] }],
  meta: {
    template_questions: [
      `Who founded Town ${i}?`,
      `By whom was Town ${i} founded?`,
      `who founded Town ${i} ?`,
    ],
  },
});

export const slagFeverRow = (i: number) => ({
  id: `claim-${i}`,
  input: `Town ${i} has a wall.`,
  output: [{ answer: i % 2 === 0 ? "SUPPORTS" : "REFUTES", provenance: [{ title: `Town ${i}` }] }],
});
