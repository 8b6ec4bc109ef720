/** The site as people use it, in Chromium: one flow for each page, in both languages, on a desktop and on a phone. */
import assert from "assert";
import { randomBytes } from "crypto";
import * as fs from "fs";
import * as path from "path";

import AxeBuilder from "@axe-core/playwright";
import { Browser, BrowserContext, Page } from "playwright-core";

import { startChromium } from "../../local/machine/chromium";
import { isLong } from "../support/long";
import { openAgain, type Site } from "./site";

/** Screenshots for people, by language and size; Git ignores the folder. */
const SCREENSHOTS = path.resolve(__dirname, "../../artifacts/screenshots");

const SIZES = {
    desktop: { viewport: { width: 1280, height: 800 } },
    phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
} as const;

/** What a page says, by language. */
const LANGUAGES = {
    en: {
        locale: "en-GB",
        directory: "Employee directory",
        employees: "Employees",
        groups: "Groups",
        noPage: "There is no such page",
        wrongPassword: /enter the correct username and password/i,
        administration: "Site administration",
        negative: /greater than or equal to 0/,
        changedMeanwhile: /Someone else has changed this since you opened it/,
        noFile: /neither an \.xlsx workbook nor a comma-separated \.csv/,
        nothingImported: "Nothing was imported.",
        notANumber: "Enter a whole number.",
        added: /added successfully/,
        signedOut: "Logged out",
    },
    "zh-hans": {
        locale: "zh-CN",
        directory: "员工名录",
        employees: "员工",
        groups: "分组",
        noPage: "没有这个页面",
        wrongPassword: /请输入一个正确的/,
        administration: "站点管理",
        negative: /大于或等于0/,
        changedMeanwhile: /其他人修改了这条记录/,
        noFile: /不是 \.xlsx 工作簿/,
        nothingImported: "没有导入任何内容。",
        notANumber: "输入整数。",
        added: /成功添加了/,
        signedOut: "登出",
    },
};

/** Whether this is the first page of the administration; the sign-in page's address starts with the same path. */
const isAdministration = ({ pathname }: URL): boolean => pathname === "/admin/";

/** Success criteria of WCAG 2.2, A and AA, as axe names them. */
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const LIST = "/admin/form/userdata/";

export function describeBrowser(site: Site): void {
    describe("the site in a browser", () => {
        let browser: Browser;
        let password: string;

        before("start Chromium", async () => {
            [browser, password] = [await startChromium(), await site.adminPassword()];
        });
        after(() => browser?.close());

        for (const [language, size] of variants()) {
            const [words, options] = [LANGUAGES[language], SIZES[size]];
            describe(`in ${language} on a ${size}`, () =>
                flows(
                    () => browser.newContext({ ...options, locale: words.locale, baseURL: site.url }),
                    () => password,
                    { language, words, folder: path.join(SCREENSHOTS, `${language}-${size}`) },
                ));
        }
    });
}

/** Each language and each size once, or each language at each size. */
function variants(): (readonly [keyof typeof LANGUAGES, keyof typeof SIZES])[] {
    const all = (["en", "zh-hans"] as const).flatMap((language) =>
        (["desktop", "phone"] as const).map((size) => [language, size] as const),
    );
    return isLong ? all : all.filter((_, index) => index === 0 || index === all.length - 1);
}

interface Variant {
    readonly language: string;
    readonly words: (typeof LANGUAGES)["en"];
    readonly folder: string;
}

function flows(open: () => Promise<BrowserContext>, password: () => string, variant: Variant): void {
    const { language, words, folder } = variant;
    let context: BrowserContext;
    let page: Page;
    /** What the browser complains about: failing scripts, missing files, violations of the content security policy. */
    let complaints: string[];
    /** axe examines the page in ways that the content security policy forbids. */
    let isExamined: boolean;

    before(async () => {
        fs.rmSync(folder, { recursive: true, force: true });
        context = await open();
        context.setDefaultTimeout(30_000);
        page = await context.newPage();
        complaints = [];
        page.on("framenavigated", () => (isExamined = false));
        page.on("pageerror", ({ message }) => complaints.push(message));
        page.on("console", (message) => {
            const isOurs = !isExamined && ["error", "warning"].includes(message.type());
            // Chromium also says this about an error page; the response handler below sees every other missing file.
            if (isOurs && !message.text().startsWith("Failed to load resource")) {
                complaints.push(`${page.url()}: ${message.text()}`);
            }
        });
        page.on("response", (response) => {
            if (response.status() >= 400 && !response.request().isNavigationRequest()) {
                complaints.push(`${response.url()} answered ${response.status()}`);
            }
        });
        await signIn(page);
    });

    afterEach("the browser has no complaints", () => assert.deepStrictEqual(complaints.splice(0), []));

    after("delete what was added", async () => {
        await search("ann-");
        while ((await rows().count()) > 0) {
            await deleteAll();
            await search("ann-");
        }
        await context.close();
    });

    const visit = (address: string, at = page) =>
        openAgain(
            () => at.goto(address),
            (answer) => ({ status: answer?.status() ?? 0, after: answer?.headers()["retry-after"] }),
        );

    /** Checks what must be true of every page, and keeps a screenshot. */
    async function isRight(name: string): Promise<void> {
        await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
        assert.strictEqual(await page.locator("html").getAttribute("lang"), language, name);
        const { wide, window } = await page.evaluate(() => ({
            wide: document.documentElement.scrollWidth,
            window: document.documentElement.clientWidth,
        }));
        assert.ok(wide <= window, `${name} is ${wide} pixels wide in a window of ${window}`);
        isExamined = true;
        const { violations } = await new AxeBuilder({ page })
            .options({ preload: false, runOnly: { type: "tag", values: WCAG } })
            .analyze();
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
        assert.deepStrictEqual(found, [], name);
    }

    async function signIn(at: Page): Promise<void> {
        await visit("/admin/", at);
        await at.locator("#id_username").fill("admin");
        await at.locator("#id_password").fill(password());
        await at.locator("#login-form [type=submit]").click();
        await at.waitForURL(isAdministration);
    }

    /** Waits for the page with this heading, after a click. */
    const isHeaded = (title: string) =>
        page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
    const says = (text: string | RegExp) => page.getByText(text).first().waitFor();
    /** Submits the page's main form; the language switch is a form, too. */
    const submit = () => page.locator("#content form [type=submit]").first().click();
    const search = (term: string) => visit(`${LIST}?q=${encodeURIComponent(term)}`);
    const rows = () => page.locator("#result_list tbody tr");

    /** Adds an employee with a new name, and returns the name. */
    async function employee(salary: number): Promise<string> {
        const name = `ann-${randomBytes(3).toString("hex")}`;
        await visit(`${LIST}add/`);
        await page.locator("#id_name").fill(name);
        await page.locator("#id_money").fill(String(salary));
        await page.locator("[name=_save]").click();
        assert.match(await page.locator(".messagelist").innerText(), words.added);
        return name;
    }

    async function openEmployee(name: string): Promise<void> {
        await search(name);
        await page.getByRole("link", { name, exact: true }).click();
        await page.locator("#id_money").waitFor();
    }

    /** Deletes everything that the list shows. */
    async function deleteAll(beforeYes = () => Promise.resolve()): Promise<void> {
        await page.locator("#action-toggle").check();
        await page.selectOption("select[name=action]", "delete_selected");
        await page.locator("[name=index]").click();
        await page.locator("#content [name=post]").waitFor({ state: "attached" });
        await beforeYes();
        await submit();
        await page.locator(".messagelist .success").waitFor();
    }

    async function upload(name: string, format: "xlsx" | "csv", content: string): Promise<void> {
        await visit(`${LIST}import/`);
        await page.setInputFiles("input[type=file]", {
            name,
            mimeType: "application/octet-stream",
            buffer: Buffer.from(content),
        });
        await page.selectOption("select[name=format]", { label: format });
        await submit();
    }

    it("leads from the first page to employees and groups", async () => {
        await visit("/");
        await isHeaded(words.directory);
        await isRight("home");
        await page.locator("main").getByRole("link", { name: words.employees, exact: true }).click();
        await isHeaded(words.employees);
        assert.match(await page.locator("tr", { hasText: "sam" }).innerText(), /sam\s+10000\s+1\s+manage/);
        await isRight("employees");
        await page.locator("nav").getByRole("link", { name: words.groups, exact: true }).click();
        await isHeaded(words.groups);
        assert.match(await page.locator("tr", { hasText: "tech" }).innerText(), /2\s+tech/);
        await isRight("groups");
    });

    it("says when a page does not exist", async () => {
        assert.strictEqual((await visit("/user_data"))?.status(), 404);
        await isHeaded(words.noPage);
        await isRight("not-found");
    });

    it("lets the admin sign in by keyboard alone, after a wrong password", async () => {
        const stranger = await open();
        const signedIn = page;
        try {
            page = await stranger.newPage();
            await visit("/admin/");
            await page.locator("#id_username:focus").waitFor();
            await page.keyboard.type("admin");
            await page.keyboard.press("Tab");
            await page.keyboard.type("wrong");
            await page.keyboard.press("Enter");
            await says(words.wrongPassword);
            await isRight("sign-in-refused");
            await page.locator("#id_username").fill("admin");
            await page.keyboard.press("Tab");
            await page.keyboard.type(password());
            await page.keyboard.press("Enter");
            await page.waitForURL(isAdministration);
            await isHeaded(words.administration);
            await isRight("administration");
            await page.locator("#logout-form button").click();
            await isHeaded(words.signedOut);
            await isRight("signed-out");
            await visit(LIST);
            assert.match(page.url(), /\/admin\/login\//);
        } finally {
            page = signedIn;
            await stranger.close();
        }
    });

    it("says what is wrong with a salary", async () => {
        await visit(`${LIST}add/`);
        await page.locator("#id_name").fill("ann");
        await page.locator("#id_money").fill("-1");
        await page.locator("[name=_save]").click();
        assert.match(await page.locator(".field-money .errorlist").innerText(), words.negative);
        await isRight("employee-refused");
    });

    it("finds, sorts and shows an employee", async () => {
        const ann = await employee(30_000);
        await isRight("employee-added");
        await visit(`${LIST}?o=-2`);
        const salaries = (await page.locator("td.field-money").allInnerTexts()).map(Number);
        assert.ok(salaries.length >= 3);
        assert.deepStrictEqual(
            salaries,
            [...salaries].sort((a, b) => b - a),
        );
        await page.locator("#searchbar").fill(ann);
        await page.keyboard.press("Enter");
        await page.waitForURL("**q=ann*");
        assert.strictEqual(await rows().count(), 1);
        await isRight("search");
        // The writer reads their own write, although this page comes from the slaves and the cache.
        await visit("/User_data");
        assert.match(await page.locator("tr", { hasText: ann }).innerText(), /30000/);
    });

    it("changes an employee, warns the second of two editors, and keeps the history", async () => {
        const ann = await employee(30_000);
        await openEmployee(ann);
        await isRight("employee");
        const second = await context.newPage();
        await visit(page.url(), second);
        await page.locator("#id_money").fill("31000");
        await page.locator("[name=_save]").click();
        await page.locator(".messagelist .success").waitFor();
        await second.locator("#id_money").fill("32000");
        await second.locator("[name=_save]").click();
        await second.getByText(words.changedMeanwhile).waitFor();
        await second.close();
        await openEmployee(ann);
        assert.strictEqual(await page.locator("#id_money").inputValue(), "31000");
        await page.locator(".historylink").click();
        await page.locator("#change-history").waitFor();
        assert.strictEqual(await page.locator("#change-history tbody tr").count(), 2);
        await isRight("history");
    });

    it("previews an import, and imports what the preview showed", async () => {
        const ann = await employee(31_000);
        await visit(`${LIST}import/`);
        await isRight("import");
        await upload("staff.csv", "csv", `name,salary\n${ann},33000\n${ann}-2,500\n`);
        const preview = page.locator(".import-preview");
        assert.match(await preview.locator("tr.update").innerText(), new RegExp(`${ann}\\s+31000 33000`));
        assert.match(await preview.locator("tr.new").innerText(), new RegExp(`${ann}-2\\s+500`));
        await isRight("import-preview");
        await submit();
        await page.locator(".messagelist .success").waitFor();
        await search(ann);
        assert.deepStrictEqual(await page.locator("td.field-money").allInnerTexts(), ["33000", "500"]);
    });

    it("says what is wrong with a file, row by row, and imports nothing from it", async () => {
        const ann = await employee(31_000);
        await upload("staff.csv", "csv", `name,salary\n${ann}-3,1\n${ann},abc\n`);
        await says(words.nothingImported);
        const refused = page.locator(".import-preview tbody tr");
        assert.strictEqual(await refused.count(), 1);
        assert.strictEqual(await refused.locator("td").first().innerText(), "2");
        const reason = refused.getByText(words.notANumber);
        assert.ok(await reason.isVisible());
        assert.strictEqual(
            await reason.evaluate(
                (element) =>
                    getComputedStyle(element.closest(".validation-error-container") ?? element).opacity,
            ),
            "1",
        );
        await isRight("import-refused-by-row");
        await upload("staff.xlsx", "xlsx", "PK\u0003\u0004 and then nothing");
        assert.match(await page.locator(".errorlist").innerText(), words.noFile);
        await isRight("import-refused");
        await search(ann);
        assert.deepStrictEqual(await page.locator("td.field-money").allInnerTexts(), ["31000"]);
    });

    it("exports what the list shows", async () => {
        const ann = await employee(500);
        await search(ann);
        await page.locator(".export_link").click();
        await page.selectOption("select[name=format]", { label: "csv" });
        await isRight("export");
        const [download] = await Promise.all([page.waitForEvent("download"), submit()]);
        const content = fs.readFileSync((await download.path())!, "utf8");
        assert.strictEqual(content.replace("\ufeff", "").trim(), `name,salary\r\n${ann},500`);
    });

    it("deletes after a confirmation", async () => {
        const ann = await employee(500);
        await search(ann);
        await deleteAll(async () => {
            await says(ann);
            await isRight("delete");
        });
        await search(ann);
        assert.strictEqual(await rows().count(), 0);
    });

    it("shows every other page as it should be", async () => {
        for (const [name, address] of [
            ["list", LIST],
            ["codes", "/admin/form/codedata/"],
            ["memberships", "/admin/form/user/"],
            ["membership-new", "/admin/form/user/add/"],
            ["accounts", "/admin/auth/user/"],
            ["account-new", "/admin/auth/user/add/"],
            ["password", "/admin/password_change/"],
        ] as const) {
            assert.strictEqual((await visit(address))?.status(), 200, address);
            await isRight(name);
        }
        await openEmployee("sam");
        await isRight("employee-with-group");
    });

    it("switches the language and stays on the page", async () => {
        await visit(LIST);
        const other = language === "en" ? "zh-hans" : "en";
        for (const wanted of [other, language]) {
            await page.locator(`.languages [value=${wanted}]`).click();
            await page.locator(`html[lang=${wanted}]`).waitFor();
            assert.ok(page.url().endsWith(LIST));
        }
    });
}
