/** A failure that the user can do something about: they need to see only its message. */
export class Refusal extends Error {}
