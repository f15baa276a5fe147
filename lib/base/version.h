// SPDX-License-Identifier: Apache-2.0
// The version of the plugin and of its tools, which are released together.
#pragma once

namespace ballast {

inline constexpr char version[] = "0.1.0";

}  // namespace ballast
