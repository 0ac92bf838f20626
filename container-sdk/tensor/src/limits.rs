//! How large a tensor may be, with the unit in each name.

cutter_limits::limits! {
    "Tensors" {
        /// Dimensions of a tensor.
        RANK_MAX: usize = 8, "dimensions";
        /// Bytes of one item, input or output.
        ITEM_BYTES_MAX: usize = 64 << 20, "bytes";
        /// Lists that one item nests, as it is written: what a shape of many small dimensions
        /// costs.
        ITEM_LISTS_MAX: u64 = 4 << 20, "lists";
        /// Bytes of an output that is kept without memory of its own.
        KEPT_INLINE_BYTES: usize = 16, "bytes";
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
