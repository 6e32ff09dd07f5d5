/**
 * The relations of the embedded Wikidata5m, with the wordings that ask for them. `label` is Wikidata's English label,
 * `property` its id in KGConv's template library, from which `questions` are chosen by hand: those that ask for exactly
 * this relation of any subject that has it. `cloze` is KnowEdit's prompt. `ofPaper`: one of the ten relations that SLAG
 * keeps of Wikidata5m.
 */
export const RELATIONS = [
  {
    label: "place of birth",
    property: "P19",
    ofPaper: true,
    cloze: "The place of birth of [X] is",
    questions: [
      "Where was [X] born?",
      "What is the place of birth of [X]?",
      "Which city was [X] born in?",
      "What is the birth place of [X]?",
    ],
  },
  {
    label: "place of death",
    property: "P20",
    ofPaper: true,
    cloze: "The place of death of [X] is",
    questions: [
      "Where did [X] die?",
      "Where did [X] pass away?",
      "What was the place of death of [X]?",
      "Which city did [X] die in?",
    ],
  },
  {
    label: "place of burial",
    property: "P119",
    ofPaper: true,
    cloze: "The place of burial of [X] is",
    questions: [
      "Where is [X] buried?",
      "Where was [X] laid to rest?",
      "What is the burial place of [X]?",
      "Which cemetery is [X] buried in?",
    ],
  },
  {
    label: "cause of death",
    property: "P509",
    ofPaper: true,
    questions: [
      "What was the cause of death of [X]?",
      "What did [X] die from?",
      "What caused the death of [X]?",
      "What killed [X]?",
    ],
  },
  {
    label: "educated at",
    property: "P69",
    ofPaper: true,
    cloze: "The name of the alma mater of [X] is",
    questions: [
      "Which university did [X] attend?",
      "What university was [X] educated at?",
      "What college did [X] go to?",
      "[X] was an alumni of which educational institution?",
    ],
  },
  {
    label: "occupation",
    property: "P106",
    ofPaper: true,
    cloze: "The occupation of [X] is",
    questions: [
      "What is the profession of [X]?",
      "What does [X] do for a living?",
      "What is [X]'s job?",
      "What profession does [X] have?",
    ],
  },
  {
    label: "award received",
    property: "P166",
    ofPaper: true,
    cloze: "The name of the award [X] won is",
    questions: [
      "Which award did [X] receive?",
      "What award was given to [X]?",
      "What was [X] awarded with?",
      "What award was won by [X]?",
    ],
  },
  {
    label: "spouse",
    property: "P26",
    ofPaper: true,
    cloze: "The name of the spouse of [X] is",
    questions: ["Who is [X]'s spouse?", "Who is [X] married to?", "[X] is married to who?"],
  },
  {
    label: "child",
    property: "P40",
    ofPaper: true,
    cloze: "The name of the child of [X] is",
    questions: [
      "Who is [X]'s child?",
      "What is the name of a child of [X]?",
      "Who is one of [X]'s children?",
      "Who is the child of [X]?",
    ],
  },
  {
    label: "sibling",
    property: "P3373",
    ofPaper: true,
    cloze: "The names of the siblings of [X] are",
    questions: [
      "Who is [X]'s sibling?",
      "Who is the sibling of [X]?",
      "Who has [X] as their sibling?",
      "Who is [X]'s brother or sister?",
    ],
  },
  {
    label: "country of citizenship",
    property: "P27",
    cloze: "The name of the country of citizenship of [X] is",
    questions: [
      "What is the nationality of [X]?",
      "What country is [X] a citizen of?",
      "Which country does [X] have nationality in?",
      "What nationality is [X]?",
    ],
  },
  {
    label: "father",
    property: "P22",
    cloze: "The name of the father of [X] is",
    questions: [
      "Who is [X]'s father?",
      "Who was the dad of [X]?",
      "What was the name of the father of [X]?",
      "Who fathered [X]?",
    ],
  },
  {
    label: "employer",
    property: "P108",
    cloze: "The name of the employer of [X] is",
    questions: ["What is [X]'s place of employment?"],
  },
  {
    label: "field of work",
    property: "P101",
    cloze: "The name of the field of work of [X] is",
    questions: [
      "What is [X]'s field of work?",
      "What field does [X] work in?",
      "In what field does [X] work?",
    ],
  },
  {
    label: "position held",
    property: "P39",
    cloze: "The name of the position held by [X] is",
    questions: ["What was the position held by [X]?", "What was the title held by [X]?"],
  },
  {
    label: "religion or worldview",
    property: "P140",
    cloze: "The name of the religion which [X] is associated with is",
    questions: [
      "What is the religion of [X]?",
      "What religion does [X] belong to?",
      "What religion is [X] a part of?",
    ],
  },
  {
    label: "languages spoken, written or signed",
    property: "P1412",
    questions: ["What language did [X] speak?", "What language was spoken by [X]?"],
  },
  {
    label: "country",
    property: "P17",
    cloze: "The name of the country which [X] is associated with is",
    questions: [
      "Which country is [X] in?",
      "What country is [X] located in?",
      "What country is [X] a part of?",
      "In what country is [X] located?",
    ],
  },
  {
    label: "continent",
    property: "P30",
    cloze: "The name of the continent which [X] is part of is",
    questions: [
      "On which continent is [X] located?",
      "What continent is [X] on?",
      "What is the continent of [X]?",
    ],
  },
  {
    label: "located in or next to body of water",
    property: "P206",
    questions: [
      "Which body of water is located next to [X]?",
      "What body of water is next to [X]?",
      "[X] is located next to what body of water?",
    ],
  },
  {
    label: "official language",
    property: "P37",
    cloze: "The official language of [X] is",
    questions: ["What is the official language of [X]?"],
  },
  {
    label: "patron saint",
    property: "P417",
    questions: [
      "Who is the patron saint of [X]?",
      "What is the name of the patron saint of [X]?",
      "Which patron saint does [X] identify with?",
    ],
  },
  {
    label: "country of origin",
    property: "P495",
    questions: ["What is the country of origin of [X]?", "Which country produced [X]?"],
  },
  {
    label: "genre",
    property: "P136",
    questions: ["What is the genre of [X]?", "What genre is [X]?", "What type of genre is [X]?"],
  },
  {
    label: "performer",
    property: "P175",
    questions: ["Who is the artist of [X]?", "Who recorded [X]?", "Which artist released [X]?"],
  },
  {
    label: "record label",
    property: "P264",
    questions: ["What label is [X] on?", "Which label is [X] with?", "What label is [X] under?"],
  },
  {
    label: "composer",
    property: "P86",
    cloze: "The name of the composer of [X] is",
    questions: [
      "Who composed [X]?",
      "Who is the composer of [X]?",
      "Who wrote the music for [X]?",
      "Who made the music for [X]?",
    ],
  },
  {
    label: "director",
    property: "P57",
    cloze: "The name of the director of [X] is",
    questions: [
      "Who directed [X]?",
      "Who was [X] directed by?",
      "Who is the director of [X]?",
      "What is the name of the director of [X]?",
    ],
  },
  {
    label: "screenwriter",
    property: "P58",
    cloze: "The name of the screenwriter of [X] is",
    questions: ["Who wrote the story for [X]?", "Who was the screen writer for [X]?"],
  },
  {
    label: "sport",
    property: "P641",
    questions: [
      "What is [X]'s sport?",
      "What sport does [X] compete in?",
      "What sport does [X] participate in?",
    ],
  },
  {
    label: "headquarters location",
    property: "P159",
    questions: [
      "Where is [X]'s headquarters?",
      "What is the location of [X]'s headquarters?",
      "[X] is based in what city?",
      "In what city is [X] based?",
    ],
  },
  {
    label: "founded by",
    property: "P112",
    cloze: "The name of the founder of [X] is",
    questions: ["Who founded [X]?", "Who was the founder of [X]?", "Who was [X] founded by?"],
  },
  {
    label: "industry",
    property: "P452",
    questions: [
      "What industry does [X] belong to?",
      "What is [X]'s industry?",
      "Which industry is [X] associated with?",
    ],
  },
  {
    label: "owned by",
    property: "P127",
    questions: ["Who owns [X]?", "Who is the owner of [X]?", "Who is [X] owned by?"],
  },
];
