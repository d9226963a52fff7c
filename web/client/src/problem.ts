import type { components } from "./openapi.js";

/** A problem document of RFC 9457, as the server answers it. */
export type Problem = components["schemas"]["Problem"];

/** ProblemError is what the server has answered in place of what was asked for. Decide by status and code. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  /** What went wrong, for programs: not_found, conflict, rate_limited and so on. */
  readonly code: string;
  /** When to try again, in milliseconds; undefined where the server gives no advice. */
  readonly retryAfter: number | undefined;

  constructor(readonly problem: Problem, retryAfter?: number) {
    super(problem.detail ?? problem.title);
    this.status = problem.status;
    this.code = problem.code;
    this.retryAfter = retryAfter;
  }

  /** Whether trying again later may help. */
  get passes(): boolean {
    return this.status === 429 || this.status >= 500 || this.status === 408;
  }
}

/** ConnectionError is that no answer came, as often as it was tried. Its cause is the last failure. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}

/** problemOf reads the problem of an answer that is none of success. It rejects where the answer breaks off: what it would have said is not known. */
export async function problemOf(answer: Response): Promise<ProblemError> {
  let problem: Problem | undefined;
  const text = await answer.text();
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "code" in body && "status" in body) problem = body as Problem;
  } catch {
    // Something between here and the server has answered.
  }
  problem ??= { title: answer.statusText || `HTTP ${answer.status}`, status: answer.status, code: answer.status >= 500 ? "unavailable" : "internal" };
  return new ProblemError(problem, retryAfterOf(answer));
}

/** retryAfterOf returns milliseconds, or undefined. */
function retryAfterOf(answer: Response): number | undefined {
  const value = answer.headers.get("Retry-After");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
