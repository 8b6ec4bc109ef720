import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
    { ignores: ["node_modules/", "artifacts/"] },
    eslint.configs.recommended,
    ...tseslint.configs.recommended,
    {
        files: ["**/*.js"],
        languageOptions: { globals: { require: "readonly", module: "writable", process: "readonly" } },
        rules: { "@typescript-eslint/no-require-imports": "off" },
    },
    {
        files: ["images/**/*.js"],
        languageOptions: { globals: { window: "readonly", document: "readonly" } },
    },
    {
        files: ["**/*.ts"],
        languageOptions: { parserOptions: { projectService: true } },
        rules: {
            curly: "error",
            eqeqeq: "error",
            "@typescript-eslint/no-floating-promises": "error",
            "@typescript-eslint/switch-exhaustiveness-check": "off",
            // Tests load the program with require, after they set the mocks.
            "@typescript-eslint/no-require-imports": "off",
        },
    },
);
