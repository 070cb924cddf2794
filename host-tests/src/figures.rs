//! Figures that programs measure, for `cargo x` to compare with their goals.

/// A figure: name, value, unit.
pub type Figure = (String, f64, &'static str);

/// Returns figures as one JSON array of `{name, value, unit}`.
#[must_use]
pub fn json(figures: &[Figure]) -> String {
    let rows: Vec<_> = figures
        .iter()
        .map(|(name, value, unit)| {
            format!("{{\"name\":\"{name}\",\"value\":{value:.4},\"unit\":\"{unit}\"}}")
        })
        .collect();
    format!("[{}]", rows.join(","))
}
