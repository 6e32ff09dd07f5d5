import { describe, expect, test } from "vitest";

const script = (name: string) => import(new URL(`../../scripts/data/${name}`, import.meta.url).href);

describe("ParaRel patterns as templates", () => {
  test("the answer's place, the final stop and the article's twin", async () => {
    const { buildTemplates } = await script("pararel_templates.mjs");
    const graphs = new Map([
      [
        "P1",
        [
          "[X] is located in [Y] .",
          "[X], a product of [Y],",
          "[Y] is the capital of [X].",
          "the capital of [X] is [Y].",
          "[X]'s capital, [Y].",
          "[X] is a [Y]-born person.",
          "[X] is an [Y]-born person.",
          "[X] label : [Y].",
        ].map((pattern) => ({ pattern })),
      ],
    ]);
    const { templates, rejected } = buildTemplates(graphs);
    expect(templates.get("P1")).toEqual([
      "[X] is located in",
      "[X], a product of",
      "_ is the capital of [X]",
      "The capital of [X] is",
      "[X]'s capital,",
      "[X] is a _-born person",
      "[X] label :",
    ]);
    expect(rejected).toMatchObject([{ relation: "P1", pattern: "[X] is an [Y]-born person." }]);
  });

  test("subjects with dollar signs are put in as they are", async () => {
    const { fillTemplate } = await script("pararel_templates.mjs");
    expect(fillTemplate("[X] plays", "A$AP $& Mob")).toBe("A$AP $& Mob plays");
  });
});

describe("CounterFact's relations", () => {
  const fact = (sub_label: string, obj_label: string) => ({ sub_label, obj_label });
  const facts = new Map([
    ["P17", [fact("Lyon", "France"), fact("Turin", "Italy"), fact("Bonn", "Germany")]],
    ["P30", [fact("Lyon", "Europe"), fact("Nile", "Africa"), fact("Both", "Italy")]],
    ["P31", [fact("Both", "Italy"), fact("Turin", "city")]],
  ]);
  const record = (subject: string, template: string, ground_truth: string, target_new: string) => ({
    subject,
    prompt: template.replace("[X]", subject),
    ground_truth,
    target_new,
  });
  const located = "[X] is located in";
  const records = [
    record("Lyon", located, "France", "Italy"),
    record("Turin", located, "Italy", "France"),
    record("Nile", located, "Africa", "Europe"),
    record("Mars", located, "Sky", "Italy"),
    record("Bonn", located, "Germany", "Africa"),
  ];

  test("the fact file and the template must agree", async () => {
    const { assignRelations } = await script("counterfact_relations.mjs");
    const { relationOf, dropped } = assignRelations(records, facts);
    expect(records.map((entry) => relationOf.get(entry) ?? null)).toEqual(["P17", "P17", "P30", null, null]);
    expect(dropped.get(records[3])).toMatch(/in no ParaRel fact file/);
    expect(dropped.get(records[4])).toMatch(/counterfactual answer is not an object/);
  });

  test("a case that two relations explain is dropped", async () => {
    const { assignRelations } = await script("counterfact_relations.mjs");
    const both = record("Both", located, "Italy", "France");
    const onlyThirty = record("Nile", located, "Africa", "Italy");
    const onlyThirtyOne = record("Turin", located, "city", "Italy");
    const { dropped } = assignRelations([both, onlyThirty, onlyThirtyOne], facts);
    expect(dropped.get(both)).toMatch(/two relations fit/);
  });
});
