import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** client loads what was compiled: in $CLIENT, else in dist. */
export const client = () => import(process.env.CLIENT ? pathToFileURL(join(process.env.CLIENT, "index.js")).href : "../dist/index.js");
