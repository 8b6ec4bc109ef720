/** Remembers which image this machine uses in place of an official base image. */
import { type BaseName, isProductBase } from "../../components/bases";
import { readJson, writeWhole } from "../machine/files";
import { places } from "../places";

/** The base images in use here that are not Docker Hub's. */
export type OwnBases = Readonly<Partial<Record<BaseName, string>>>;

/**
 * The examples' bases have their own file: all checkouts share the files, and an older one would write every base in its own
 * file to a stack file that has no such key.
 */
type Files = Readonly<Record<"bases" | "exampleBases", string>>;

export function ownBases({ bases, exampleBases }: Files = places()): OwnBases {
    return { ...readJson<OwnBases>(bases), ...readJson<OwnBases>(exampleBases) };
}

/** Those of them that the product's own images are built on, which are keys of its stack files. */
export function productBases(bases: OwnBases): OwnBases {
    return Object.fromEntries(Object.entries(bases).filter(([name]) => isProductBase(name)));
}

/** Records which image a base is here; undefined for Docker Hub's official image. */
export function rememberBase(
    name: BaseName,
    image: string | undefined,
    { bases, exampleBases }: Files = places(),
): void {
    const file = isProductBase(name) ? bases : exampleBases;
    writeWhole(file, `${JSON.stringify({ ...readJson<OwnBases>(file), [name]: image }, undefined, 4)}\n`);
}
