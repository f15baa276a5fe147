// SPDX-License-Identifier: Apache-2.0
// BALLAST_TSAN is defined in a build with ThreadSanitizer. The runtime of ThreadSanitizer has its
// own operator new, which a test program cannot replace.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BALLAST_TSAN 1
#endif
#endif
