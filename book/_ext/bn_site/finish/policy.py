"""Every page forbids its browser to ask any other site for anything, or to run a script not ours.

GitHub Pages sends no headers of ours, so the policy is a `<meta>`, which holds under any address and from `file://`.
It stands before the first script. Inline scripts that Sphinx and the theme write are named by their hashes; anything
that gets into a page afterwards does not run. JupyterLite, in `lite/`, compiles at run time and has its own policy.
"""

from __future__ import annotations

import base64
import hashlib
import re

from bn_site.finish.tags import raw_elements

POLICY = {
    "default-src": "'none'",  # also for what is not named below: frames, plug-ins, media, workers
    "script-src": "'self'",  # and the hashes of the page's own inline scripts
    "style-src": "'self' 'unsafe-inline'",  # figures and mathematics place their parts by style attributes
    "img-src": "'self' data:",
    "font-src": "'self' data:",  # the fonts that slim.py puts into the stylesheet
    "connect-src": "'self'",  # the search reads the pages that it found
    "form-action": "'self'",  # the search field
    "base-uri": "'none'",
}

CHARSET = re.compile(r"<meta charset=[^>]*>", re.IGNORECASE)
# Types that a browser does not run (JSON for a script to read): data, which no policy concerns.
DATA = re.compile(
    r"""\stype\s*=\s*["']?(?!text/javascript\b|application/javascript\b|module\b)[^\s"'>]""", re.IGNORECASE
)


def hashes(page: str) -> list[str]:
    """The inline scripts of a page, as a policy names them."""
    scripts = {
        text
        for attributes, text in raw_elements(page, "script")
        if not re.search(r"\ssrc\s*=", attributes) and not DATA.search(attributes)
    }
    return sorted(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)


def with_policy(page: str) -> str:
    """The page with its policy right after its encoding, which must come first."""
    policy = POLICY | {"script-src": " ".join([POLICY["script-src"], *hashes(page)])}
    content = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    meta = f'<meta http-equiv="Content-Security-Policy" content="{content}">'
    found = CHARSET.search(page)
    if found is None:
        raise ValueError(f"this page does not say its encoding, after which its policy belongs: {page[:200]!r}")
    return f"{page[: found.end()]}\n{meta}{page[found.end() :]}"
