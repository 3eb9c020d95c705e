//! The plots: bars and lines over logarithmic axes, written as SVG by hand, which a page of arithmetic does.

use std::fmt::Write as _;

use crate::report;
use crate::results::{Curve, Results};
use crate::systems::System;
use crate::workload::{Mode, Workload};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 56.0;

/// All plots there is something for, each with the name of its file.
pub(crate) fn all(results: &Results) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let bursts = results.workloads(&[Mode::Burst]);
    let simple = |workload: &Workload| workload.publishers == 1 && workload.subscribers == 1 && workload.types == 1;
    let (sizes, others): (Vec<Workload>, Vec<Workload>) = bursts.into_iter().partition(simple);
    let rate = |results: &Results, workload: &Workload, system| {
        results.row(workload, system).map_or(0.0, |row| row.median.deliveries_per_s)
    };
    let p50 = |results: &Results, workload: &Workload, system| {
        results.row(workload, system).map_or(0.0, |row| row.median.latency_us.p50)
    };
    let p99 = |results: &Results, workload: &Workload, system| {
        results.row(workload, system).map_or(0.0, |row| row.median.latency_us.p99)
    };
    let steady = results.workloads(&[Mode::Steady, Mode::Same]);
    let trips = results.workloads(&[Mode::Latency, Mode::LatencyLoad]);
    let plots: [(&str, &str, Vec<Workload>, &dyn Fn(&Results, &Workload, System) -> f64); 4] = [
        ("sizes", "Deliveries per second by size, 1 → 1", sizes, &rate),
        ("topologies", "Deliveries per second by who talks to whom", others, &rate),
        ("latency", "Round trip of one event, median, µs", trips, &p50),
        ("steady", "Emit to handler at a steady load, p99, µs", steady, &p99),
    ];
    for (name, title, workloads, figure) in plots {
        if !workloads.is_empty() {
            files.push((format!("{name}.svg"), bars(title, results, &workloads, figure)));
        }
    }
    for Curve { of, points } in &results.scaling {
        let points: Vec<(f64, f64)> =
            points.iter().map(|point| (point.count as f64, point.row.median.deliveries_per_s)).collect();
        files.push((
            format!("scaling-{of}.svg"),
            line(&format!("Deliveries per second by number of {of}"), of, &points),
        ));
    }
    files
}

fn color(system: System) -> &'static str {
    match system {
        System::Events => "#d1495b",
        System::Raw => "#30638e",
        System::RawLossy => "#8fb3d1",
        System::Nats => "#3a9d6e",
        System::Zenoh => "#edae49",
        System::Redis => "#7d5ba6",
        System::EventsServing => "#e58c98",
        System::EventsSpinning => "#a32638",
        System::EventsServingSpinning => "#c66b78",
        System::EventsTcp => "#7a1f2b",
        System::EventsMemory => "#f0b8bf",
        System::Broadcast => "#8a8a8a",
    }
}

/// A logarithmic axis over whole powers of ten.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Axis {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| *value > 0.0) {
            least = least.min(value);
            most = most.max(value);
        }
        if most == 0.0 {
            return Axis { low: 0, high: 1 };
        }
        let (low, high) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Axis { low, high: high.max(low + 1) }
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        ((value.log10() - f64::from(self.low)) / f64::from(self.high - self.low)).clamp(0.0, 1.0)
    }

    fn height(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.place(value) * (HEIGHT - TOP - BOTTOM)
    }
}

fn begin(title: &str, axis: &Axis) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut svg, LEFT, 18.0, "start", &format!("{title} (logarithmic)"));
    for power in axis.low..=axis.high {
        let value = 10_f64.powi(power);
        let y = axis.height(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        );
        text(&mut svg, LEFT - 6.0, y + 4.0, "end", &report::grouped(value));
    }
    svg
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    let what = what.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222\">{what}</text>");
}

/// A group of bars per workload, one bar per system.
fn bars(
    title: &str,
    results: &Results,
    workloads: &[Workload],
    figure: &dyn Fn(&Results, &Workload, System) -> f64,
) -> String {
    let systems = results.systems(workloads);
    let values = workloads.iter().flat_map(|workload| systems.iter().map(|system| figure(results, workload, *system)));
    let axis = Axis::over(values);
    let mut svg = begin(title, &axis);
    let (mut x, mut y) = (LEFT, 28.0);
    for system in &systems {
        let wide = 26.0 + system.title().len() as f64 * 6.0;
        // In two lines, if one is full.
        if x + wide > WIDTH {
            (x, y) = (LEFT, y + 18.0);
        }
        let _ = writeln!(svg, "<rect x=\"{x:.0}\" y=\"{y}\" width=\"10\" height=\"10\" fill=\"{}\"/>", color(*system));
        text(&mut svg, x + 14.0, y + 9.0, "start", system.title());
        x += wide;
    }
    let group = (WIDTH - LEFT - RIGHT) / workloads.len() as f64;
    let bar = group * 0.84 / systems.len().max(1) as f64;
    for (index, workload) in workloads.iter().enumerate() {
        let left = LEFT + group * index as f64;
        for (number, system) in systems.iter().enumerate() {
            let value = figure(results, workload, *system);
            if value > 0.0 {
                let top = axis.height(value);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}: {}</title></rect>",
                    left + group * 0.08 + bar * number as f64,
                    bar * 0.92,
                    (HEIGHT - BOTTOM - top).max(0.5),
                    color(*system),
                    system.title(),
                    report::grouped(value),
                );
            }
        }
        let name = report::title(workload);
        // In three lines, so that long names have room.
        let y = HEIGHT - BOTTOM + 16.0 + 14.0 * (index % 3) as f64;
        text(&mut svg, left + group / 2.0, y, "middle", &name);
    }
    svg + "</svg>\n"
}

/// One curve, over a logarithmic axis as well.
fn line(title: &str, of: &str, points: &[(f64, f64)]) -> String {
    let axis = Axis::over(points.iter().map(|(_, value)| *value));
    let across = Axis::over(points.iter().map(|(count, _)| *count));
    let x = |count: f64| LEFT + 20.0 + across.place(count) * (WIDTH - LEFT - RIGHT - 60.0);
    let mut svg = begin(title, &axis);
    let path: Vec<String> = points
        .iter()
        .filter(|(_, value)| *value > 0.0)
        .map(|(n, value)| format!("{:.1},{:.1}", x(*n), axis.height(*value)))
        .collect();
    let stroke = color(System::Events);
    let _ =
        writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\"/>", path.join(" "));
    for (count, value) in points {
        let y = axis.height(*value);
        let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{stroke}\"/>", x(*count));
        text(&mut svg, x(*count), y - 8.0, "middle", &report::grouped(*value));
        text(&mut svg, x(*count), HEIGHT - BOTTOM + 16.0, "middle", &report::grouped(*count));
    }
    text(&mut svg, WIDTH / 2.0, HEIGHT - 12.0, "middle", of);
    svg + "</svg>\n"
}
