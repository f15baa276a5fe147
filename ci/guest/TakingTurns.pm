# SPDX-License-Identifier: Apache-2.0
# prove's harness for a guest that is not alone: it is given all tests that it may run, and takes the
# next one when it is free, unless another guest has taken it. LAB_TAKEN is the folder in which the
# guests note who took what; LAB_SECONDS the file for how long each test took.
package TakingTurns;
use strict;
use warnings;
use parent 'TAP::Harness';

sub make_scheduler {
    my ($self, @tests) = @_;
    my @jobs = map { TAP::Parser::Scheduler::Job->new(@$_) } $self->_add_descriptions(@tests);
    return bless { jobs => \@jobs }, 'TakingTurns::Queue';
}

package TakingTurns::Queue;
use TAP::Parser::Scheduler::Job;
use Time::HiRes 'time';

sub get_all { return @{ $_[0]{jobs} } }

sub get_job {
    my ($self) = @_;
    while (my $job = shift @{ $self->{jobs} }) {
        my ($name) = $job->filename =~ m{([^/]+)\.t$} or return $job;
        # One mkdir of a name succeeds.
        next unless mkdir "$ENV{LAB_TAKEN}/$name";
        my $begin = time;
        $job->on_finish(sub {
            open my $out, '>>', $ENV{LAB_SECONDS} or return;
            printf $out "%.0f\t%s\n", time - $begin, $name;
        });
        return $job;
    }
    return;
}

1;
