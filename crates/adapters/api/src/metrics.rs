//! How are metrics written for Prometheus?

mod names;

pub use names::*;

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows; starts again at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often which size was seen.
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// All samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The metric's name.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// One per set of labels; of equal sets the last counts.
    pub samples: Vec<Sample>,
}

/// One number, or one histogram, under a set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values, in the order in which they are written.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: Number,
}

/// What a sample holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// Of a counter or a gauge.
    Plain(f64),
    /// Of a histogram.
    Histogram(Histogram),
}

/// Counts of observations by size.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    /// Starts an empty one; `bounds` are the buckets' upper bounds, rising, without infinity.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    /// Counts one observation, in the unit of the bounds.
    pub fn observe(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        for (bound, count) in self.bounds.iter().zip(&mut self.counts) {
            *count += u64::from(value <= *bound);
        }
    }
}

/// A name, its help, and its labels: what a family is before it has samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<const N: usize> {
    /// The metric's name.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// Its labels, in the order of the values that [`Metric::sample`] takes.
    pub labels: [&'static str; N],
}

impl<const N: usize> Metric<N> {
    /// Makes a sample of a counter or gauge.
    pub fn sample(&self, values: [&str; N], value: f64) -> Sample {
        self.with(values, Number::Plain(value))
    }

    /// Makes a sample of a histogram.
    pub fn distribution(&self, values: [&str; N], histogram: Histogram) -> Sample {
        self.with(values, Number::Histogram(histogram))
    }

    /// Gathers samples.
    pub fn family(&self, samples: Vec<Sample>) -> Family {
        Family { name: self.name, help: self.help, kind: self.kind, samples }
    }

    fn with(&self, values: [&str; N], value: Number) -> Sample {
        let labels =
            self.labels.into_iter().zip(values).map(|(name, value)| (name, value.to_owned())).collect();
        Sample { labels, value }
    }
}

/// The samples of one name; equal labels make one.
type ByLabels<'a> = BTreeMap<&'a [(&'static str, String)], &'a Number>;

/// Writes families in Prometheus' text format 0.0.4 (its exposition formats documentation), sorted by name and labels. A
/// family without samples is left out; two families of one name are written as one.
pub fn render(families: &[Family]) -> String {
    let mut sorted: BTreeMap<&str, (&Family, ByLabels<'_>)> = BTreeMap::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let (_, samples) = sorted.entry(family.name).or_insert_with(|| (family, ByLabels::new()));
        samples.extend(family.samples.iter().map(|sample| (sample.labels.as_slice(), &sample.value)));
    }
    let mut out = String::new();
    for (name, (family, samples)) in sorted {
        let help = family.help.replace('\\', r"\\").replace('\n', r"\n");
        line(&mut out, format_args!("# HELP {name} {help}"));
        line(&mut out, format_args!("# TYPE {name} {}", family.kind.as_str()));
        for (labels, number) in samples {
            write_sample(&mut out, name, labels, number);
        }
    }
    out
}

fn write_sample(out: &mut String, name: &str, labels: &[(&str, String)], number: &Number) {
    match number {
        Number::Plain(value) => line(out, format_args!("{name}{} {}", braces(labels, None), float(*value))),
        Number::Histogram(histogram) => {
            let ends = histogram.bounds.iter().copied().zip(histogram.counts.iter().copied());
            for (bound, count) in ends.chain([(f64::INFINITY, histogram.count)]) {
                let labels = braces(labels, Some(&float(bound)));
                line(out, format_args!("{name}_bucket{labels} {count}"));
            }
            let labels = braces(labels, None);
            line(out, format_args!("{name}_sum{labels} {}", float(histogram.sum)));
            line(out, format_args!("{name}_count{labels} {}", histogram.count));
        }
    }
}

fn line(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("writing to a String never fails");
}

fn braces(labels: &[(&str, String)], le: Option<&str>) -> String {
    let own = labels.iter().map(|(name, value)| (*name, value.as_str()));
    let pairs: Vec<String> = own
        .chain(le.map(|le| ("le", le)))
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn float(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_sorted_and_escaped() {
        let info = APP_CONDITION.family(vec![
            APP_CONDITION.sample(["b", "x", "p", "SyncError"], 1.0),
            APP_CONDITION.sample(["a", "quote\" slash\\ line\nend", "p", "SyncError"], 2.5),
            APP_CONDITION.sample(["b", "x", "p", "SyncError"], 3.0),
        ]);
        let renders = RENDERS.family(vec![RENDERS.sample(["ok"], 12.0)]);
        let writes = STATUS_WRITES.family(Vec::new());
        assert_eq!(
            render(&[renders, writes, info]),
            r#"# HELP argocd_app_condition Conditions of an Application.
# TYPE argocd_app_condition gauge
argocd_app_condition{namespace="a",name="quote\" slash\\ line\nend",project="p",condition="SyncError"} 2.5
argocd_app_condition{namespace="b",name="x",project="p",condition="SyncError"} 3
# HELP tautline_renders_total Sets of manifests read from Git, by outcome.
# TYPE tautline_renders_total counter
tautline_renders_total{outcome="ok"} 12
"#
        );
    }

    #[test]
    fn histograms_count_up_to_infinity() {
        let mut histogram = Histogram::new(RECONCILE_BOUNDS);
        for seconds in [0.1, 0.25, 3.0, 99.0] {
            histogram.observe(seconds);
        }
        let family = APP_RECONCILE.family(vec![APP_RECONCILE.distribution(["argocd", "here"], histogram)]);
        let text = render(&[family]);
        let numbers: Vec<&str> =
            text.lines().filter_map(|line| line.rsplit_once(' ').map(|(_, n)| n)).collect();
        assert_eq!(numbers[2..], ["2", "2", "2", "2", "3", "3", "3", "4", "102.35", "4"]);
        assert!(text.contains(
            "argocd_app_reconcile_bucket{namespace=\"argocd\",dest_server=\"here\",le=\"0.25\"} 2\n"
        ));
        assert!(text.contains(
            "argocd_app_reconcile_bucket{namespace=\"argocd\",dest_server=\"here\",le=\"+Inf\"} 4\n"
        ));
    }
}
