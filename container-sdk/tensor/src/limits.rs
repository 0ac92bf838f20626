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
        /// Tensors of one input or output.
        TENSORS_MAX: usize = 8, "tensors";
        /// Bytes of the name of a tensor.
        TENSOR_NAME_BYTES_MAX: usize = 63, "bytes";
        /// Alignment of each tensor in its row: a cache line, and the widest vector register.
        TENSOR_ALIGN_BYTES: usize = 64, "bytes";
        /// Bytes of the lengths that a row of several tensors begins with, where one has a length
        /// of its own.
        SIGNATURE_HEADER_BYTES: usize = 64, "bytes";
        /// Bytes of an output that is kept without memory of its own.
        KEPT_INLINE_BYTES: usize = 16, "bytes";
    }
}

const _: () = {
    assert!(TENSORS_MAX * size_of::<u32>() <= SIGNATURE_HEADER_BYTES);
    assert!(SIGNATURE_HEADER_BYTES.is_multiple_of(TENSOR_ALIGN_BYTES));
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
