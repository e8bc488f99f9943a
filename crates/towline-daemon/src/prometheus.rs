//! Prometheus's text format.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write as _};

/// Metrics, as they are written down one after the other.
#[derive(Default)]
pub(crate) struct Text(String);

impl Text {
    /// Begins with a metric; its samples follow.
    pub(crate) fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A value with its labels, whose values are names of our own.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_its_help_its_type_and_its_samples() {
        let mut text = Text::default();
        text.metric("a_total", "counter", "What it counts.");
        text.sample("a_total", &[("x", "1"), ("y", "z")], 7);
        text.sample("a_total", &[], 0.5);
        let expected = "# HELP a_total What it counts.\n# TYPE a_total counter\n\
            a_total{x=\"1\",y=\"z\"} 7\na_total 0.5\n";
        assert_eq!(text.finish(), expected);
    }
}
