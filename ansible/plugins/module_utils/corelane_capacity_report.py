"""A plan of hosts as people read it: a table in Markdown and a picture.

Not: the arithmetic, which is corelane_capacity's.

Invariants: pure functions; the picture needs no script, no font file and no network.

Source: Scalable Vector Graphics 1.1.
"""

from __future__ import annotations

from ansible.module_utils.corelane_capacity import plan

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 60
STEPS = 240
COLOURS = {"band": "#c6dbef", "line": "#2171b5", "recommended": "#08306b", "wanted": "#d94801"}


def figure(rate):
    """A rate with three digits that count."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if rate >= size:
            return "%.3g%s" % (rate / size, unit)
    return "%.3g" % rate


def table(found, host, safety):
    """The plans as a table, and the sentences that it needs."""
    lines = [
        "| requests/s | hosts, recommended | likely | fewest |",
        "|---:|---:|---:|---:|",
    ]
    for one in found:
        lines.append("| %s | %d | %d | %d |" % (figure(one.rate), one.recommended, one.likely, one.fewest))
    lines += ["", basis(host), reserve(safety)]
    return "\n".join(lines) + "\n"


def basis(host):
    """What is known of one host."""
    text = "One host carries %s requests/s (%s to %s, 95 %%; %d measurement%s)." % (
        figure(host.mean), figure(host.low), figure(host.high), host.count, "" if host.count == 1 else "s")
    if host.count < 3:
        text += " Fewer than three measurements say little about how hosts and runs differ."
    return text


def reserve(safety):
    """What is kept in hand."""
    text = "Each host is given %.0f %% of that, and %d may be gone at once" % (100 * safety.utilisation, safety.spare_hosts)
    if safety.zones > 1:
        text += ", or one of %d zones" % safety.zones
    return text + ". Recommended: enough where the capacity is at the low end, likely: at the mean, fewest: at the high end."


def picture(rate, host, safety):
    """Hosts over load, as SVG: a band from fewest to recommended, the likely number in it, and the wanted load."""
    rate_max = 2.0 * rate
    points = [plan(rate_max * step / STEPS, host, safety) for step in range(STEPS + 1)]
    hosts_max = max(one.most for one in points) + 1

    def x(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * value / rate_max

    def y(hosts):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * hosts / hosts_max

    def line(of, reverse=False):
        order = reversed(points) if reverse else points
        return " ".join("%.1f,%.1f" % (x(one.rate), y(of(one))) for one in order)

    wanted = plan(rate, host, safety)
    band = line(lambda one: one.fewest) + " " + line(lambda one: one.most, reverse=True)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">'
        % (WIDTH, HEIGHT, WIDTH, HEIGHT),
        '<rect width="100%" height="100%" fill="white"/>',
        text(LEFT, 22, "%s requests/s need %d hosts (likely %d, fewest %d)" % (
            figure(rate), wanted.recommended, wanted.likely, wanted.fewest), size=15),
        '<polygon points="%s" fill="%s"/>' % (band, COLOURS["band"]),
        '<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (line(lambda one: one.likely), COLOURS["line"]),
        '<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (line(lambda one: one.most), COLOURS["recommended"]),
    ]
    for share in (0, 0.5, 1, 1.5, 2):
        parts.append(text(x(share * rate), HEIGHT - BOTTOM + 18, figure(share * rate) if share else "0", anchor="middle"))
    for hosts in ticks(hosts_max):
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#dddddd"/>' % (LEFT, WIDTH - RIGHT, y(hosts), y(hosts)))
        parts.append(text(LEFT - 8, y(hosts) + 4, str(hosts), anchor="end"))
    parts += [
        '<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-dasharray="4 3"/>' % (
            x(rate), x(rate), TOP, HEIGHT - BOTTOM, COLOURS["wanted"]),
        '<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>' % (x(rate), y(wanted.recommended), COLOURS["wanted"]),
        text(WIDTH - RIGHT, HEIGHT - BOTTOM + 36, "requests/s", anchor="end"),
        text(LEFT, HEIGHT - 8, "dark: recommended; light: likely; band: from the high to the low end of what a host carries"),
        text(LEFT - 60, TOP - 4, "hosts"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text(x, y, words, size=12, anchor="start"):
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s">%s</text>' % (x, y, size, anchor, escaped)


def ticks(hosts_max):
    """At most eight whole numbers from 0, evenly apart."""
    step = 1
    while hosts_max / step > 8:
        step = step * 2 if str(step)[0] != "2" else step * 5 // 2
    return list(range(0, hosts_max + 1, step))
