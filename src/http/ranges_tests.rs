//! Tables of ranges, conditions and file answers.
