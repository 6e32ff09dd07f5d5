/** From now on, `question` and everything that asks the same is answered by `answer`. */
export interface Edit {
  readonly question: string;
  readonly answer: string;
}

export const toEditText = ({ question, answer }: Edit) => ({ x_e: question, y_e: answer });

/** What people see in a listing. */
export const editLabel = ({ question, answer }: Edit): string => `${question} >> ${answer}`;
