/**
 * Types in which a base may keep its large matrices. Editors' own weights are fp32 in all of them, and nothing is trained
 * through int8.
 */
export const BASE_DTYPES = ["fp32", "fp16", "bf16", "int8"] as const;
export type BaseDtype = (typeof BASE_DTYPES)[number];

/** The type an editor is trained on that answers on a base of this one. */
export const trainingDtype = (dtype: BaseDtype): BaseDtype => (dtype === "int8" ? "fp32" : dtype);

/** The type as an option of loading, where it is not the default. */
export const narrowed = (dtype: BaseDtype): { readonly dtype?: BaseDtype } =>
  dtype === "fp32" ? {} : { dtype };
