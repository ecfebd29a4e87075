//! The audit as text: for a review where there is no browser, and for a diff of two audits.

use std::fmt::Write;

use logodex_schemas::plan::audit::{Audit, FindingKind};

/// What a section of findings is called.
fn heading(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Family => "Families of folders",
        FindingKind::MislabelledFolder => "Mislabelled folders",
        FindingKind::SharedPicture => "One file in several brands",
        FindingKind::NearPicture => "Pictures of several brands that look the same",
        FindingKind::SimilarPicture => "Similar pictures of several brands",
        FindingKind::NearName => "Nearly equal names",
        FindingKind::AlikeBrands => "Brands that look like one to the model",
        FindingKind::LooksLikeAnother => "Pictures that look like another brand to the model",
        FindingKind::FarPicture => "Pictures like no other to the model",
        FindingKind::ForeignName => "Objects that name another brand",
        FindingKind::OddBoxes => "Odd boxes",
        FindingKind::LowInformation => "Pictures that are nearly empty",
        FindingKind::BlurryPictures => "Blurry pictures",
        FindingKind::DarkPictures => "Dark pictures",
        FindingKind::LightPictures => "Light pictures",
        FindingKind::OddSize => "Pictures of an odd size",
        FindingKind::OddAspect => "Pictures of an odd shape",
        FindingKind::GreyPictures => "Pictures without colour",
        FindingKind::OwnCopies => "Copies within a folder",
    }
}

/// The audit in Markdown: the numbers, then each kind of finding with its findings.
pub fn text(audit: &Audit) -> String {
    let mut out = String::new();
    let s = &audit.summary;
    let refused: u64 = audit.refused.values().sum();
    let _ = writeln!(
        out,
        "# Audit of the clean-up\n\n{} folders become {} brands. Of {} pictures {} are kept ({} under another name) and {} are \
         dropped as copies; {refused} files and objects are refused.\n",
        s.folders, s.brands, s.images, s.kept, s.renamed, s.dropped
    );
    let mut kinds: Vec<FindingKind> = Vec::new();
    for found in &audit.findings {
        if !kinds.contains(&found.kind) {
            kinds.push(found.kind);
        }
    }
    let of = |kind| audit.findings.iter().filter(move |f| f.kind == kind);
    let _ = writeln!(
        out,
        "| to decide on | findings | answered |\n|---|---:|---:|"
    );
    for &kind in &kinds {
        let answered = of(kind).filter(|f| f.answered).count();
        let _ = writeln!(
            out,
            "| {} | {} | {answered} |",
            heading(kind),
            of(kind).count()
        );
    }
    for &kind in &kinds {
        let _ = writeln!(out, "\n## {}\n", heading(kind));
        for found in of(kind) {
            let done = if found.answered { " (answered)" } else { "" };
            let folders = found.subjects.iter().take(4).map(|s| format!("`{s}`"));
            let mut folders: Vec<String> = folders.collect();
            if found.subjects.len() > 4 {
                folders.push(format!("and {} more", found.subjects.len() - 4));
            }
            let _ = writeln!(
                out,
                "- **{}**{done}: {} {} {}",
                found.brand,
                found.says,
                found.otherwise,
                folders.join(", ")
            );
        }
    }
    if let Some(changed) = audit.changed.as_ref().filter(|c| !c.is_empty()) {
        let _ = writeln!(out, "\n## Changed since the last plan\n");
        for change in changed {
            let _ = writeln!(out, "- {change}");
        }
    }
    let _ = writeln!(
        out,
        "\n## Refused\n\n| reason | files and objects |\n|---|---:|"
    );
    for (reason, n) in &audit.refused {
        let reason = serde_json::to_value(reason).unwrap_or_default();
        let _ = writeln!(out, "| `{}` | {n} |", reason.as_str().unwrap_or_default());
    }
    out
}
