//! What is printed: markdown.

use crate::measure::Ratio;

pub(crate) fn section(title: &str, remark: &str) {
    println!("\n### {title}\n\n{remark}.\n");
}

pub(crate) fn table(heads: &[&str]) {
    println!("| {} |", heads.join(" | "));
    println!("|{}", "---|".repeat(heads.len()));
}

pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Collects goals while tables are printed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    goals: Vec<String>,
}

impl Report {
    /// Notes whether a goal is reached.
    pub(crate) fn goal(&mut self, name: &str, what: &str, wanted: &str, ratio: &Ratio, is_reached: bool) {
        self.goal_of(name, what, wanted, &ratio.to_string(), is_reached);
    }

    pub(crate) fn goal_of(&mut self, name: &str, what: &str, wanted: &str, got: &str, is_reached: bool) {
        let reached = if is_reached { "yes" } else { "**no**" };
        self.goals.push(format!("| {name} | {what} | {wanted} | {got} | {reached} |"));
    }

    pub(crate) fn end(self) {
        println!("\n### Goals\n\n| goal | what | wanted | got | reached |\n|---|---|---|---|---|");
        for goal in self.goals {
            println!("{goal}");
        }
    }
}
