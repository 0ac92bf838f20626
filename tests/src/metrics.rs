//! What a scrape of `/metrics` says.

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads the text of a scrape. Only what Cutter writes is understood; whether others
    /// understand it is for a real client to say.
    #[track_caller]
    pub fn parse(text: &str) -> Metrics {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let sample =
            |line: &str| Sample::parse(line).unwrap_or_else(|| panic!("not a sample: {line:?}"));
        Metrics { samples: lines.map(sample).collect() }
    }

    /// The sum of the samples with this name that have all these labels.
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let named: Vec<&Sample> =
            self.samples.iter().filter(|sample| sample.name == name).collect();
        assert!(!named.is_empty(), "no metric has the name {name}");
        let matching = named.iter().filter(|sample| labels.iter().all(|label| sample.has(*label)));
        matching.map(|sample| sample.value).sum()
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Sample> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let labels = labels.split_terminator(',').map(|label| {
            let (name, quoted) = label.split_once('=')?;
            let value = quoted.strip_prefix('"')?.strip_suffix('"')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let labels = labels.collect::<Option<_>>()?;
        Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
    }

    fn has(&self, (name, value): (&str, &str)) -> bool {
        self.labels.iter().any(|label| label.0 == name && label.1 == value)
    }
}
