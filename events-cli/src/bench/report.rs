//! What the bench has found.

use serde_json::{Value, json};

use super::script::{Counted, Emitted};
use crate::args::{BenchArguments, Mode};

pub(super) struct Report {
    emitted: u64,
    delivered: u64,
    lost: u64,
    seconds: f64,
    size: usize,
    /// Nanoseconds, sorted.
    took: Vec<u64>,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Report {
    pub(super) fn new(emitted: &[Emitted], counted: Vec<Counted>, size: usize) -> Report {
        let began = emitted.iter().map(|emitted| emitted.began).min().unwrap_or(0);
        let ended = counted.iter().map(|counted| counted.ended).max().unwrap_or(0);
        let sent: u64 = emitted.iter().map(|emitted| emitted.events).sum();
        let delivered = counted.iter().map(|counted| counted.received).sum();
        let lost = (sent * counted.len() as u64).saturating_sub(delivered);
        let mut took: Vec<u64> = counted.into_iter().flat_map(|counted| counted.took).collect();
        took.sort_unstable();
        Report { emitted: sent, delivered, lost, seconds: ended.saturating_sub(began) as f64 / 1e9, size, took }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn events_per_s(&self) -> f64 {
        if self.seconds > 0.0 { self.delivered as f64 / self.seconds } else { 0.0 }
    }

    fn mb_per_s(&self) -> f64 {
        self.events_per_s() * self.size as f64 / 1e6
    }

    /// In microseconds: so many per mille took at most this long.
    fn latency(&self, per_mille: usize) -> f64 {
        let index = (self.took.len() * per_mille / 1000).min(self.took.len().saturating_sub(1));
        self.took.get(index).copied().unwrap_or_default() as f64 / 1e3
    }

    /// How many times what `raw` did this is: events per second, or for events by themselves its median latency.
    fn ratio(&self, raw: &Report, mode: Mode) -> f64 {
        let (ours, theirs) = match mode {
            Mode::Throughput => (self.events_per_s(), raw.events_per_s()),
            Mode::Latency => (self.latency(500), raw.latency(500)),
        };
        if theirs > 0.0 { ours / theirs } else { 0.0 }
    }

    pub(super) fn json(&self, raw: Option<&Report>, mode: Mode) -> Value {
        let mut all = json!({
            "emitted": self.emitted,
            "delivered": self.delivered,
            "lost": self.lost,
            "events_per_s": self.events_per_s(),
            "mb_per_s": self.mb_per_s(),
            "latency_us": { "p50": self.latency(500), "p99": self.latency(990), "p999": self.latency(999) },
        });
        if let Some(raw) = raw {
            all["raw"] = raw.json(None, mode);
            all["ratio"] = self.ratio(raw, mode).into();
        }
        all
    }

    pub(super) fn text(&self, raw: Option<&Report>, arguments: &BenchArguments) -> String {
        let BenchArguments { publishers, subscribers, types, size, mode, .. } = arguments;
        let of = match mode {
            Mode::Throughput => "under full load, from `emit` to the handler",
            Mode::Latency => "of events by themselves, from `emit` to the handler",
        };
        let mut text = format!(
            "{publishers} publishers, {subscribers} subscribers, {types} types of {size} bytes\n\n{}           {of}\n",
            self.figures()
        );
        if let Some(raw) = raw {
            let what = match mode {
                Mode::Throughput => "times as many events per second",
                Mode::Latency => "times the median latency",
            };
            let ratio = self.ratio(raw, *mode);
            text +=
                &format!("\nlibzmq alone, one message per event\n\n{}\nratio      {ratio:.2} {what}\n", raw.figures());
        }
        text
    }

    fn figures(&self) -> String {
        format!(
            "emitted    {}\ndelivered  {}\nlost       {}\nevents/s   {:.0}\nMB/s       {:.1}\n\
             latency    p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs\n",
            self.emitted,
            self.delivered,
            self.lost,
            self.events_per_s(),
            self.mb_per_s(),
            self.latency(500),
            self.latency(990),
            self.latency(999),
        )
    }
}
