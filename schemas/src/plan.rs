//! The consolidation plan: which folders are one brand, which images are copies, and the evidence for each.
//!
//! A plan lists only what departs from "one folder, one brand, every image kept". A person may read it and answer
//! with [`Overrides`], which always win.

pub mod audit;
mod consolidation;
mod overrides;

pub use consolidation::{
    BoxStats, ConsolidationPlan, CrossBrandCopies, DroppedCopy, Effect, ForeignName, Group,
    GroupRule, Member, NameLikeness, NearImage, NearName, Overlap, PlanSummary, RenamedImage,
    Sameness, Verdict, plan_header,
};
pub use overrides::{
    AcceptOverride, DropOverride, KeepApartOverride, MergeOverride, Overrides, RenameOverride,
};
