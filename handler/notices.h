// SPDX-License-Identifier: Apache-2.0
// Asks the kernel to tell of task management in a device's command ring. What it then writes there,
// and who reads it: handler/passed_over.h.
#pragma once

#include "handler/tcmur_abi.h"

namespace ballast::handler {

// Whether the kernel was asked to write notices for this device: from now on, until it is removed.
// Blocks on a file of configfs.
bool ask_for_notices(abi::tcmu_device* dev);

}  // namespace ballast::handler
