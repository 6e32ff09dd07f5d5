// SEPROG_VECTORISED before a function: compiled for the plain machine and for wider vector units, the best
// chosen when the library is loaded. The loops inside are written so that the compiler may use the width
// without reordering sums.
#pragma once

#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
#define SEPROG_VECTORISED
#elif __GNUC__ >= 12
// Levels of the instruction set: what names a processor below is chosen on that maker's processors alone.
#define SEPROG_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SEPROG_VECTORISED __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#endif
