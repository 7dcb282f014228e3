//! The output of `plan` in the format that is asked for.

use std::io::{self, Write};

use super::{PlanOutput, Terminal, markdown, record::Record, table, view::View};

/// Prints the images. For people, a summary follows.
pub(super) fn print(
    view: &View<'_>,
    format: PlanOutput,
    terminal: Terminal,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> io::Result<()> {
    match format {
        PlanOutput::Text => table::print(view, terminal, output)?,
        PlanOutput::Github => markdown::print(view, output)?,
        PlanOutput::Json => {
            for (row, count) in view.rows() {
                serde_json::to_writer(&mut *output, &Record::new(view.tally, row, count))?;
                writeln!(output)?;
            }
        }
        PlanOutput::Yaml => {
            let records: Vec<_> =
                view.rows().map(|(row, count)| Record::new(view.tally, row, count)).collect();
            let text = serde_saphyr::to_string(&records).map_err(io::Error::other)?;
            writeln!(output, "{}", text.trim_end())?;
        }
    }
    if let PlanOutput::Json | PlanOutput::Yaml = format {
        for note in view.notes() {
            // The result is valid even if the note cannot be written.
            let _ = writeln!(errors, "note: {note}");
        }
    }
    Ok(())
}
