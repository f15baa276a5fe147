// SPDX-License-Identifier: Apache-2.0
// The StoreSource of a LUN on an image in Ceph. It is opened on a thread of its own (attempts.h),
// because connecting, taking the lock and opening the image block, and each may hang.
//
// While an operator makes the LUN, every failure but one refuses the LUN, with a sentence that
// names the step. The exception is a cluster that does not answer: the LUN is becoming ready, and
// the image is tried again. When the daemon starts, every failure is waited out.
#pragma once

#include <memory>

#include "lib/backend/factory.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"

namespace ballast::backend {

// The functions `check` and `open` of the kind `rbd` (kinds.h). OpenContext (factory.h) tells
// lifetimes.
Result<void> check_rbd_store(const StoreOrder& order);
std::unique_ptr<StoreSource> open_rbd_store(StoreOrder order, const OpenContext& context);

}  // namespace ballast::backend
