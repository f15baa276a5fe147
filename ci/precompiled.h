// SPDX-License-Identifier: Apache-2.0
// The headers that most files include anyway. A sanitizer build reads them once instead of 150
// times. The other builds do not use this file, so every source must include what it needs.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
