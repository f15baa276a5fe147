// SPDX-License-Identifier: Apache-2.0
#include "lib/io/anatomy.h"

#include "lib/co/anatomy.h"
#include "lib/io/uring.h"

namespace ballast::io {

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::uring{
    "io_uring",
    sizeof(Uring),
    {
        // A vector of pointers to slabs.
        {"slabs", offsetof(Uring, slabs_), sizeof(void*), &operation},
        {"slabs_end", offsetof(Uring, slabs_) + sizeof(void*), sizeof(void*)},
        {"slab_length", Uring::ops_per_slab, 0},
        {"in_flight", BALLAST_AT(Uring, in_flight_)},
        {"waiting", BALLAST_AT(Uring, waiting_count_)},
    }};

constinit const anatomy::Type Anatomy::operation{
    "operation",
    sizeof(Op),
    {
        {"opcode", offsetof(Op, request) + offsetof(OpRequest, opcode), sizeof(OpRequest::opcode)},
        {"fd", offsetof(Op, request) + offsetof(OpRequest, file) + offsetof(UringFile, fd),
         sizeof(UringFile::fd)},
        {"offset", offsetof(Op, request) + offsetof(OpRequest, offset), sizeof(OpRequest::offset)},
        {"address", offsetof(Op, request) + offsetof(OpRequest, address),
         sizeof(OpRequest::address)},
        {"length", offsetof(Op, request) + offsetof(OpRequest, length), sizeof(OpRequest::length)},
        {"vectored", BALLAST_AT(Op, vectored)},
        {"vectored_length", offsetof(Op, view) + offsetof(SgView, size_), sizeof(SgView::size_)},
        {"state", BALLAST_AT(Op, state)},
        {"handed_over", BALLAST_AT(Op, handed_over)},
        {"wait", offsetof(Op, waker) + co::Anatomy::waker_wait, sizeof(co::WaitRecord*),
         &co::Anatomy::wait},
        {"generation", offsetof(Op, waker) + co::Anatomy::waker_generation, sizeof(std::uint64_t)},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::io
