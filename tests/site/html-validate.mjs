// What html-validate checks on the built pages: that they are valid HTML. Rules of taste are off, each with its reason.
import { defineConfig } from "html-validate";

export default defineConfig({
  root: true,
  extends: ["html-validate:recommended", "html-validate:document"], // the pages are whole documents
  rules: {
    // As HTML 5 has it: an id is any word without spaces. Sphinx names the places of an API by their dotted names.
    "valid-id": ["error", { relaxed: true }],
    // The site's own files come from where the page comes from, so a hash in the page protects from nobody.
    "require-sri": ["error", { target: "crossorigin" }],

    // How the page is written, which no reader and no browser notices. Sphinx, docutils and the theme differ in it.
    "no-trailing-whitespace": "off",
    "void-style": "off", // <br/> and <br>
    "attribute-boolean-style": "off", // defer="defer" and defer
    "attr-quotes": "off",
    "doctype-style": "off",
    "no-redundant-role": "off", // <main role="main">
    "no-raw-characters": "off",
    "prefer-tbody": "off", // the browser adds it

    // The theme has the title a second time, for paper: what the other shows is not seen.
    "heading-level": ["error", { allowMultipleH1: true }],

    // Advice for code that is written by hand.
    "no-inline-style": "off", // figures and mathematics place their parts by style attributes
    "no-implicit-button-type": "off", // for buttons outside forms the type means nothing; forms have one button
    "prefer-native-element": "off", // the theme's <p role="heading">, which is a heading to all who ask
    "long-title": "off", // the title of a chapter and that of the book

    // A technique (H32), of which the criterion (3.2.2) asks less: Enter sends the search, nothing else does.
    "wcag/h32": "off",

    // A button is named by its text or its aria-label, which axe checks in a browser with all that a name is made of.
    "text-content": ["error", { accessible: true }],
  },
});
