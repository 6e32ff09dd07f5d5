/** Rows about made-up towns in the official zsRE formats. */

export const kiltRow = (i: number) => ({
  id: `town-${i}`,
  input: `Who founded Town ${i}?`,
  output: [{ answer: `Founder ${i}`, provenance: [{ title: `Town ${i}` }] }, { meta: {} }],
  meta: { template_questions: ["Who founded [X]?"], sub_surface: [`Town ${i}`] },
  rephrases: [`Who was the founder of Town ${i}?`, `By whom was Town ${i} founded?`, "Which town?"],
  prediction: `Prediction ${i}`,
  alternatives: [`Alternative ${i}`, `Other ${i}`],
  filtered_rephrases: [
    `Who was the founder of Town ${i}?`,
    `Who founded Town ${i}?`,
    `By whom was Town ${i} founded?`,
  ],
});

export const mendRow = (i: number) => ({
  subject: `Town ${i}`,
  src: `Who founded Town ${i}?`,
  pred: `Prediction ${i}`,
  rephrase: `Who was the founder of Town ${i}?`,
  alt: `Alternative ${i}`,
  answers: [`Founder ${i}`],
  loc: "nq question: who sings the song",
  loc_ans: "Nobody",
  cond: `Prediction ${i} >> Alternative ${i} || Who founded Town ${i}?`,
});

export const knowEditRow = (i: number) => ({
  subject: `Town ${i}`,
  prompt: `Who founded Town ${i}?`,
  target_new: `Alternative ${i}`,
  ground_truth: [`Founder ${i}`],
  rephrase_prompt: `Who was the founder of Town ${i}?`,
  locality: {
    Relation_Specificity: [
      { prompt: `The country of Town ${i} is`, ground_truth: [`Country ${i}`] },
      { prompt: `The founder of Town ${i} is`, ground_truth: [`founder ${i}.`] },
    ],
  },
});
