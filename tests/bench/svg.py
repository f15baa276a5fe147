# SPDX-License-Identifier: Apache-2.0
"""A drawing in SVG: what the pictures of the benchmarks have in common."""
import html

# Colours that can be told apart by those who see red and green alike, on white.
ORANGE, BLUE, RED, INK, GREY, FAINT, SHADE = "#d55e00", "#0072b2", "#b00020", "#222222", "#999999", "#dddddd", "#eef1f5"


class Drawing:
    def __init__(self):
        self.parts = []

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, words, size=13, colour=INK, anchor="start", bold=False):
        weight = ' font-weight="600"' if bold else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{html.escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1.0, dash=""):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dashes}/>')

    def rect(self, x, y, width, height, colour):
        self.add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def points(self, places, colour):
        """A dash for each place, and one only for those that the eye cannot tell apart."""
        seen = {(round(x), round(y / 1.5)) for x, y in places}
        path = "".join(f"M{x - 1} {y * 1.5:g}h2" for x, y in sorted(seen))
        if path:
            self.add(f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none" stroke-opacity="0.75"/>')

    def save(self, path, width, height):
        body = "\n".join(self.parts)
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
                f'font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif">\n<!-- SPDX-License-Identifier: Apache-2.0 -->\n'
                f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
            )
