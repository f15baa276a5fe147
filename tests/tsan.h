// SPDX-License-Identifier: Apache-2.0
// BALLAST_TSAN is defined in a build with ThreadSanitizer. Its runtime has an operator new of its
// own, which a test program cannot replace.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BALLAST_TSAN 1
#endif
#endif
