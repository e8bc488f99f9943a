//! The samples as a picture: a panel for each measure, a line for each side.

use std::fmt::Write;

use super::sample::{MEASURES, Samples};

const WIDTH: f64 = 720.0;
const PANEL: f64 = 110.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 30.0;
const COLOURS: [&str; 2] = ["#1f6feb", "#d9480f"];

/// As SVG.
pub(super) fn svg(samples: &Samples) -> String {
    let height = TOP + MEASURES.len() as f64 * PANEL + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for ((side, _), (colour, x)) in samples
        .sides
        .iter()
        .zip(COLOURS.iter().zip([LEFT, LEFT + 220.0]))
    {
        let what = match *side {
            "killed" => "daemon killed every few seconds",
            _ => "daemon never killed",
        };
        writeln!(
            svg,
            "<text x=\"{x}\" y=\"16\" fill=\"{colour}\">{what}</text>"
        )
        .unwrap();
    }
    let all = samples.sides.iter().flat_map(|(_, samples)| samples);
    let end = all.clone().map(|(seconds, _)| *seconds).fold(1.0, f64::max);
    for (n, (name, measure)) in MEASURES.iter().enumerate() {
        let (top, bottom) = (
            TOP + n as f64 * PANEL,
            TOP + n as f64 * PANEL + PANEL - 24.0,
        );
        let values = all.clone().filter_map(|(_, sample)| measure(sample));
        let most = nice(values.fold(0.0, f64::max));
        let (right, below) = (WIDTH - 10.0, bottom + 14.0);
        writeln!(
            svg,
            "<path d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\
             <text x=\"4\" y=\"{below}\">{name}</text>\
             <text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{most}</text>\
             <text x=\"{x}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
            x = LEFT - 4.0,
            y = top + 8.0,
        )
        .unwrap();
        for ((_, samples), colour) in samples.sides.iter().zip(COLOURS) {
            let mut line = String::new();
            for (seconds, sample) in samples {
                let Some(value) = measure(sample) else {
                    continue;
                };
                let x = LEFT + seconds / end * (right - LEFT);
                let y = bottom - value / most * (bottom - top);
                write!(line, "{x:.1},{y:.1} ").unwrap();
            }
            let line = line.trim_end();
            writeln!(
                svg,
                "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\"/>"
            )
            .unwrap();
        }
    }
    let x = WIDTH - 10.0;
    let y = height - 4.0;
    write!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{end:.0} s</text>\n</svg>\n"
    )
    .unwrap();
    svg
}

/// The next number of one digit and zeros.
fn nice(value: f64) -> f64 {
    let step = 10_f64.powf(value.max(1.0).log10().floor());
    (value / step).ceil().max(1.0) * step
}
