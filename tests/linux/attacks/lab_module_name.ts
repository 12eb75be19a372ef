/** The module that attacked guests load: small, and nobody calls it. */
export const LAB_MODULE = "nls_iso8859_1";
