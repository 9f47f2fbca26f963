/* Closes what isa_target.h opened. */
#if defined(__clang__) && (defined(AD_ISA_AVX512) || defined(AD_ISA_AVX2))
#pragma clang attribute pop
#endif
