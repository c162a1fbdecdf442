// The page of search results, in our words, and from a folder as well as from a server.
"use strict";

// Sphinx looks its sentences up here, and has its own where there is none.
Documentation.TRANSLATIONS[
  "Your search did not match any documents. Please make sure that all words are spelled correctly and that you've selected enough categories."
] = _(
  "No page has all of these words. Try fewer words, or another form of one: “normalize” also finds “normalized”. " +
    "Formulas are not searched: type a name, such as “variance”."
);

// The words around a hit are read from its page, which a browser does not let a page from file:// do.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Around a hit stand the words that a reader sees: not the list of contents that is there for paper, nor what a formula
// says to a screen reader beside what it shows, nor numbers for a script.
const UNREAD = "#jb-print-docs-body, .katex-mathml, .bn-explorable, h1 em";

// Sphinx's search comes after this script, and reads its first page after that.
addEventListener("DOMContentLoaded", () => {
  const textOf = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(UNREAD).forEach((element) => element.remove());
    return textOf(page.documentElement.outerHTML, anchor);
  };
});
