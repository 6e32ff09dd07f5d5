/** What takes longest at the start of a program that computes, and needs nothing of the rest; light on purpose. */
export { startLoading } from "../native/load.js";
