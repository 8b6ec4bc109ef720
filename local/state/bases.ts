/** Remembers which image this machine uses in place of an official base image. */
import { type BaseName, isProductBase } from "../../components/bases";
import { readJson, writeWhole } from "../machine/files";
import { places } from "../places";

/** The base images in use here that are not Docker Hub's. */
export type OwnBases = Readonly<Partial<Record<BaseName, string>>>;

export function ownBases(file = places().bases): OwnBases {
    return readJson<OwnBases>(file) ?? {};
}

/** Those of them that the product's own images are built on, which are keys of its stack files. */
export function productBases(bases: OwnBases): OwnBases {
    return Object.fromEntries(Object.entries(bases).filter(([name]) => isProductBase(name)));
}

/** Records which image a base is here; undefined for Docker Hub's official image. */
export function rememberBase(name: BaseName, image: string | undefined, file = places().bases): void {
    writeWhole(file, `${JSON.stringify({ ...ownBases(file), [name]: image }, undefined, 4)}\n`);
}
