// SPDX-License-Identifier: Apache-2.0
// AddressSanitizer's macros for memory of ours that must not be touched now. Without it they do
// nothing.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define BALLAST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BALLAST_ASAN 1
#endif
#endif
#ifdef BALLAST_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif
