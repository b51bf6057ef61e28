//! In-process speed, one message at a time: the book alone, the book behind the gate, and the whole venue.

use std::process::Command as Program;

use crate::book::BookOnly;
use crate::flow;
use crate::gated::Gated;
use crate::{cancel_all, longest, number, option, round, venue};

pub fn run(arguments: &[String]) -> Result<(), String> {
    let count = number(arguments, "--messages", 1_000_000)? as usize;
    let runs = number(arguments, "--runs", 7)?.max(1) as usize;
    let only = option(arguments, "--scenario");
    let baseline = option(arguments, "--baseline");
    println!(
        "{count} messages a run, median (min-max) of {runs}, M messages per second of one core's time"
    );
    println!(
        "{:10} {:>22} {:>22} {:>22}   baseline",
        "", "book", "book+risk", "venue"
    );
    for name in flow::SCENARIOS
        .into_iter()
        .filter(|name| only.is_none_or(|only| only == *name))
    {
        let flow = flow::make(name, count);
        let commands = venue::commands_of(&flow);
        let (mut book, mut gated, mut whole, mut outside) = (vec![], vec![], vec![], vec![]);
        for _ in 0..runs {
            book.push(round::time(&flow, &mut BookOnly::default()));
            gated.push(round::time(&flow, &mut Gated::new()));
            whole.push(venue::time(&flow, &commands));
            if let Some(command) = baseline {
                outside.push(ask_baseline(command, name, count)?);
            }
        }
        let mut line = format!("{:10}", flow.name);
        for column in [&mut book, &mut gated, &mut whole] {
            line += &format!(" {:>22}", told(column));
        }
        if baseline.is_some() {
            line += &format!(
                "   {} (book x{:.2})",
                told(&mut outside),
                median(&book) / median(&outside)
            );
        }
        let (crossing, amended, cancelled) = flow.shares();
        println!(
            "{line}\n{:10} {crossing:.0} % of orders cross, {amended:.0} % are amended, {cancelled:.0} % of those that rest are cancelled",
            ""
        );
    }
    longest::run(count, runs, only);
    cancel_all::run(runs);
    Ok(())
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

fn told(rates: &mut [f64]) -> String {
    rates.sort_by(f64::total_cmp);
    format!(
        "{:.2} ({:.2}-{:.2})",
        median(rates),
        rates[0],
        rates[rates.len() - 1]
    )
}

/// An outside program that runs the same scenario and prints its messages per second.
fn ask_baseline(command: &str, scenario: &str, count: usize) -> Result<f64, String> {
    let output = Program::new("sh")
        .args(["-c", command])
        .env("SCENARIO", scenario)
        .env("MESSAGES", count.to_string())
        .output()
        .map_err(|cause| format!("the baseline cannot be run: {cause}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.split_whitespace().last().unwrap_or_default();
    last.parse::<f64>()
        .map(|rate| rate / 1e6)
        .map_err(|_| format!("the baseline printed {last:?}, not a rate"))
}
