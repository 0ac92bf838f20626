//! Result files to one page of HTML with inline SVG.
