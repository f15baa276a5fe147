// SPDX-License-Identifier: Apache-2.0
// BALLAST_SANITIZED is defined in a build with AddressSanitizer or ThreadSanitizer. BALLAST_TSAN is
// defined in one with ThreadSanitizer: its runtime has its own operator new, which a test program
// cannot replace.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BALLAST_SANITIZED 1
#endif
#if __has_feature(thread_sanitizer)
#define BALLAST_TSAN 1
#endif
#endif
