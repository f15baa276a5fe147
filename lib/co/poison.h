// SPDX-License-Identifier: Apache-2.0
// AddressSanitizer's words for memory of ours that nobody may touch now; nothing without it.
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
