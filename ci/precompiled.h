// SPDX-License-Identifier: Apache-2.0
// What most of our files include anyway, read once for a sanitizer's build instead of 150 times.
// The other builds do without, so no file can come to lean on it.
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
